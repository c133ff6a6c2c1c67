"""Labels moved to the grid of another volume, without interpolation."""

import numpy as np

from limner.core.affine import Affine
from limner.core.labels import ValueMap


def on_other_grid(values: ValueMap, source: Affine, target: Affine, shape: tuple[int, ...]) -> ValueMap:
    """Return the labels on another grid: of each voxel there, the nearest label; 0 outside the labels.

    Args:
        values: (D, H, W) labels.
        source: Affine of their axes.
        target: Affine of the other grid's axes.
        shape: Size of the other grid.
    """
    from scipy.ndimage import affine_transform

    to_source = np.linalg.inv(source) @ target
    moved = affine_transform(
        values, to_source[:3, :3], to_source[:3, 3], output_shape=shape, order=0, mode="constant", cval=0
    )
    return np.asarray(moved)
