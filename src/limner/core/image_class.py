"""The class of a whole image.

Shape legend: B batch, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from limner.core.targets import Move, Target

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class ImageClass(Target["torch.Tensor"]):
    """The class of a whole image; (B,) int64 in a batch.

    Attributes:
        label: Trained label 0..K-1.
    """

    key = "class"
    label: int

    def moved(self, move: Move) -> "ImageClass":
        """Return the class unchanged: it does not depend on the position in the image."""
        return self

    @classmethod
    def stack(cls, targets: Sequence["ImageClass"], *, pin_memory: bool = False) -> "torch.Tensor":
        """Return (B,) int64."""
        import torch

        return torch.tensor([target.label for target in targets], dtype=torch.int64)
