"""What the low-resolution stage of a cascade predicted, as a target of the stage that follows.

As a target, it is moved together with the labels; `transforms/add_low_resolution.py` then makes it channels.

Shape legend: B batch, *S spatial axes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from limner.core.label_map import LabelMap
from limner.core.labels import LabelArray, ignored_in
from limner.core.targets import Move, Target

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class LowResolutionLabels(Target["torch.Tensor"]):
    """The class that the low-resolution stage predicted for every voxel of one volume.

    Attributes:
        labels: (*S) trained labels, or `ignored_in` their type outside the volume.
    """

    key = "low_resolution"
    labels: LabelArray

    @property
    def spatial_shape(self) -> tuple[int, ...]:
        """*S."""
        return tuple(self.labels.shape)

    @property
    def is_scored(self) -> bool:
        """It is a prediction, which counts in no score."""
        return False

    def moved(self, move: Move) -> "LowResolutionLabels":
        """Return the labels of the moved volume; outside it, no class is predicted."""
        return LowResolutionLabels(move.labels(self.labels, ignored_in(self.labels)))

    @classmethod
    def stack(cls, targets: Sequence["LowResolutionLabels"], *, pin_memory: bool = False) -> "torch.Tensor":
        """Return (B, *S), as label maps are stacked."""
        return LabelMap.stack([LabelMap(target.labels) for target in targets], pin_memory=pin_memory)
