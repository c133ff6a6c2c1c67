"""The prediction of a cascade's low-resolution stage as further channels of a volume.

Source: nnU-Net (Isensee et al., Nature Methods 2021), https://doi.org/10.1038/s41592-020-01008-z, whose
full-resolution stage learns from one channel for each foreground class. While training, its authors' code
changes these channels at random, so that the network does not rely on them: the first stage is better on the
volumes that it was trained on than on others. The frequencies and sizes below are those of that code; the
neighbourhoods here are cubes instead of balls.

Shape legend: S spatial axes (D, H, W), C channels, F foreground classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from limner.core.labels import LabelArray
from limner.core.low_resolution_labels import LowResolutionLabels
from limner.core.picture import Image
from limner.core.sample import Sample

Operation = Literal["dilate", "erode", "open", "close"]
Channels = npt.NDArray[np.float32]
"""(*S, F), each 0 or 1."""

OPERATIONS: tuple[Operation, ...] = ("dilate", "erode", "open", "close")
OFTEN_RESHAPED, LARGEST_RADIUS = 0.4, 8
"""Fraction of patches whose classes are dilated, eroded, opened or closed, and the largest radius."""

OFTEN_REMOVED, LARGEST_REMOVED = 0.2, 0.15
"""Fraction of patches in which a connected part of each class is removed, and the largest part of the patch
that it may cover."""


def class_channels(labels: LabelArray, classes: Sequence[int]) -> Channels:
    """Return (*S, F): for each of `classes`, 1 where `labels` (*S) is the class and 0 elsewhere."""
    return np.stack([labels == label for label in classes], axis=-1).astype(np.float32)


def with_channels(image: Image, channels: Channels) -> Image:
    """Return an image (*S, C) with further channels, float32 (*S, C + F)."""
    return np.concatenate([image.astype(np.float32, copy=False), channels], axis=-1)


@dataclass(frozen=True)
class AddLowResolutionParams:
    """Parameters of `AddLowResolution`.

    Attributes:
        operations: For each class its change of shape and the radius in voxels, or None for no change.
        removed: For each class which of its connected parts is removed, as a fraction of their number; None
            removes nothing.
    """

    operations: tuple[tuple[Operation, int] | None, ...]
    removed: tuple[float | None, ...]


@dataclass(frozen=True)
class AddLowResolution:
    """Make the sample's `LowResolutionLabels` further channels of its image, changed at random.

    Attributes:
        classes: Trained indices of the foreground classes.
    """

    classes: tuple[int, ...]

    def draw(self, rng: np.random.Generator, sample: Sample) -> AddLowResolutionParams:
        """Draw whether and how the prediction is changed."""
        reshapes, removes = rng.random(2) < (OFTEN_RESHAPED, OFTEN_REMOVED)
        names = rng.integers(len(OPERATIONS), size=len(self.classes))
        radii = rng.integers(1, LARGEST_RADIUS + 1, size=len(self.classes))
        places = rng.random(len(self.classes))
        drawn = zip(names, radii, strict=True)
        return AddLowResolutionParams(
            tuple((OPERATIONS[name], int(radius)) if reshapes else None for name, radius in drawn),
            tuple(float(place) if removes else None for place in places),
        )

    def apply(self, sample: Sample, params: AddLowResolutionParams) -> Sample:
        """Return the sample with (*S, C + F) and without the target."""
        found = sample.get(LowResolutionLabels)
        assert found is not None, "samples of a cascade have what its first stage predicted"
        channels = class_channels(found.labels, self.classes)
        for index, (operation, removed) in enumerate(zip(params.operations, params.removed, strict=True)):
            mask = channels[..., index] > 0
            if operation is not None:
                mask = _reshaped(mask, *operation)
            if removed is not None:
                mask = _without_part(mask, removed)
            channels[..., index] = mask
        rest = tuple(target for target in sample.targets if target is not found)
        return replace(sample, image=with_channels(sample.image, channels), targets=rest)


def _reshaped(mask: npt.NDArray[np.bool_], operation: Operation, radius: int) -> npt.NDArray[np.bool_]:
    """Dilate, erode, open or close a mask (*S) with a cube; what lies outside is not counted."""
    from scipy import ndimage  # training of images does without it

    width = 2 * radius + 1
    filters = {
        "dilate": (ndimage.maximum_filter,),
        "erode": (ndimage.minimum_filter,),
        "open": (ndimage.minimum_filter, ndimage.maximum_filter),
        "close": (ndimage.maximum_filter, ndimage.minimum_filter),
    }
    values = mask.view(np.uint8)
    for each in filters[operation]:
        values = each(values, size=width, mode="nearest")
    return np.asarray(values > 0)


def _without_part(mask: npt.NDArray[np.bool_], place: float) -> npt.NDArray[np.bool_]:
    """Remove one connected part of a mask (*S), unless all cover much of it; `place` in [0, 1) says which."""
    from scipy import ndimage

    numbers, count = ndimage.label(mask)
    sizes = np.bincount(numbers.ravel(), minlength=count + 1)[1:]
    small = np.flatnonzero(sizes <= LARGEST_REMOVED * mask.size) + 1
    if not small.size:
        return mask
    return np.asarray(mask & (numbers != small[int(place * small.size)]))
