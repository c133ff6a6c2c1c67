"""Slices of volumes as images of a network in two dimensions.

Shape legend: D, H, W axes of a volume, C channels, N neighbours on each side.
"""

import numpy as np

from limner.core.picture import Image


def slice_of(volume: Image, axis: int, index: int, neighbours: int = 0) -> Image:
    """Return a slice with its neighbours as further channels; beyond the ends, the last slice is repeated.

    Args:
        volume: (D, H, W, C).
        axis: Spatial axis along which the volume is cut, 0 to 2.
        index: Position of the slice on it.
        neighbours: N.

    Returns:
        (H, W, C * (2 N + 1)) of the two other axes, in order; the channels of the first slice come first.
    """
    last = volume.shape[axis] - 1
    places = [min(max(index + step, 0), last) for step in range(-neighbours, neighbours + 1)]
    if len(places) == 1:
        return np.ascontiguousarray(volume.take(index, axis))
    return np.concatenate([volume.take(place, axis) for place in places], axis=-1)
