"""Models on disk: our own folder, and other projects' checkpoints read into our networks."""

from limner.weights.importing import Imported, import_checkpoint

__all__ = ["Imported", "import_checkpoint"]
