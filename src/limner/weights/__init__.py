"""Models on disk: limner's model folders, and import of other projects' checkpoints."""

from limner.weights.importing import Imported, import_checkpoint

__all__ = ["Imported", "import_checkpoint"]
