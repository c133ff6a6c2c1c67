"""Models on disk: limner's model folders, exports, and import of other projects' checkpoints."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limner.weights.importing import Imported, import_checkpoint

__all__ = ["Imported", "import_checkpoint"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module attribute may be anything
    """Import on use: exports are read where PyTorch is not installed."""
    if name in __all__:
        from limner.weights import importing

        return getattr(importing, name)
    raise AttributeError(f"module 'limner.weights' has no attribute {name!r}")
