"""The class of a whole image, or its classes.

Shape legend: B batch, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

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


@dataclass(frozen=True)
class ClassShares(Target["torch.Tensor"]):
    """How much of each class a whole image has; (B, K) float32 in a batch.

    Attributes:
        shares: (K,) float32: 1 for each class of an image with several labels and 0 for the others, or
            fractions that sum to 1 for a mixture of images with one class each.
    """

    key = "class_shares"
    shares: npt.NDArray[np.float32]

    def moved(self, move: Move) -> "ClassShares":
        """Return the classes unchanged: they do not depend on the position in the image."""
        return self

    @classmethod
    def stack(cls, targets: Sequence["ClassShares"], *, pin_memory: bool = False) -> "torch.Tensor":
        """Return (B, K) float32."""
        import torch

        return torch.from_numpy(np.stack([target.shares for target in targets]))
