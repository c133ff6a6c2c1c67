"""Normalisation of an image by its own values, for MR and other images whose values have no unit.

Where images are mostly empty, as MR of heads without the skull is, the values of interest are those that are
not 0. The two ways that nnU-Net has (Isensee et al., Nature Methods 2021) and that of MONAI's
`NormalizeIntensity(nonzero=True)` are here.

Shape legend: C channels, n voxels.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.picture import Image
from limner.core.plan import NormalizedOver

SMALLEST_DEVIATION = 1e-6
"""Channels of one value are only shifted to 0."""

Mask = npt.NDArray[np.bool_]


def normalize_each(image: Image, over: NormalizedOver | None = None) -> Image:
    """Return the image with mean 0 and standard deviation 1 in each channel.

    Args:
        image: (*spatial, C) in file values.
        over: Which voxels have this mean and deviation: ``nonzero_box`` those in the smallest box around all
            that are not 0 in some channel; ``nonzero`` these themselves and the holes in them, the others
            stay 0; ``nonzero_of_channel`` in each channel those that are not 0 there, the others stay 0.
            None takes all voxels.

    Returns:
        (*spatial, C) float32. An image of zeros stays so.
    """
    values = image.astype(np.float32)
    if over is None:
        _normalize(values, values)
    elif over == "nonzero_box":
        _normalize(values, values[nonzero_box(values)])
    elif over == "nonzero":
        mask = _filled(_is_nonzero(values))
        values[mask] = _normalized(values[mask])
    else:
        for channel in range(values.shape[-1]):
            plane = values[..., channel : channel + 1]
            mask = _is_nonzero(plane)
            plane[mask] = _normalized(plane[mask])
    return values


def nonzero_box(image: Image) -> tuple[slice, ...]:
    """Return the smallest box around the voxels of an image (*spatial, C) that are not 0 in some channel.

    Returns:
        A slice of each spatial axis; all of the image if it has zeros only.
    """
    mask = _is_nonzero(image)
    box = []
    for axis in range(mask.ndim):
        shown = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        box.append(slice(int(shown[0]), int(shown[-1]) + 1) if shown.size else slice(0, mask.shape[axis]))
    return tuple(box)


def _is_nonzero(image: Image) -> Mask:
    return np.asarray((image != 0).any(axis=-1))


def _normalize(values: Image, among: npt.NDArray[Any]) -> None:
    """Shift and scale an image in place, so that a part of it has mean 0 and deviation 1."""
    axes = tuple(range(values.ndim - 1))
    if among.size == 0:
        return
    # Sums of millions of float32 need float64.
    mean = among.mean(axis=axes, dtype=np.float64).astype(np.float32)
    values -= mean
    # `among` is either `values` or a view of it, so that it is shifted, too.
    deviation = np.sqrt(np.square(among).mean(axis=axes, dtype=np.float64))
    values /= np.where(deviation > SMALLEST_DEVIATION, deviation, 1).astype(np.float32)


def _normalized(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return values (n, C) with mean 0 and deviation 1; changed in place."""
    _normalize(values, values)
    return values


def _filled(mask: Mask) -> Mask:
    """Return a mask of a volume with its holes: what no path along the axes leads to from outside.

    Pictures have no holes here: for nnU-Net, they are volumes of one slice, which is open on both sides.
    """
    if mask.ndim < 3:
        return mask
    from scipy.ndimage import label

    numbers, count = label(~mask)
    is_open = np.zeros(count + 1, bool)
    for axis in range(mask.ndim):
        for end in (0, -1):
            is_open[np.unique(numbers.take(end, axis=axis))] = True
    is_open[0] = False  # the mask itself
    return np.asarray(~is_open[numbers])
