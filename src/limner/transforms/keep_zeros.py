"""Changes of values inside a body only: what was 0 around it stays 0."""

from dataclasses import dataclass, replace
from typing import Generic

import numpy as np
import numpy.typing as npt

from limner.core.sample import Sample
from limner.transforms.transform import ParamsT, Transform

TINY = 1e-4
"""Largest value that counts as 0, in standard deviations: cubic splines leave traces around a body."""


@dataclass(frozen=True)
class KeepZeros(Generic[ParamsT]):
    """Apply a change of values to images that were normalised by the voxels that are not 0.

    nnU-Net does the same in training (`MaskImageTransform`), with the mask of the whole volume.

    Attributes:
        changes: A transform that moves no voxels.
        of_each_channel: Whether zeros of one channel stay, too; otherwise voxels that are 0 in all channels.
    """

    changes: Transform[ParamsT]
    of_each_channel: bool = False

    def draw(self, rng: np.random.Generator, sample: Sample) -> ParamsT:
        """Draw the parameters of the change."""
        return self.changes.draw(rng, sample)

    def apply(self, sample: Sample, params: ParamsT) -> Sample:
        """Apply the change, and restore the zeros."""
        changed = self.changes.apply(sample, params)
        if changed is sample:
            return sample
        is_empty: npt.NDArray[np.bool_] = np.asarray(np.abs(sample.image) <= TINY)
        if not self.of_each_channel:
            is_empty = np.asarray(is_empty.all(axis=-1, keepdims=True))
        return replace(changed, image=np.where(is_empty, sample.image.dtype.type(0), changed.image))
