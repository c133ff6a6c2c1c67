"""Positions of voxels in space, as affine maps.

Coordinates are millimetres from the scanner's origin: x grows to the patient's right, y to the front
(anterior), z to the head (superior), as in NIfTI ("RAS"). DICOM and ITK count x to the left and y to the back
("LPS"). The columns of an affine belong to the axes of the array, (D, H, W): the file's in reverse order.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from limner.core.picture import Geometry

SAME_PLACE = 0.1
"""Voxels whose places differ by less than this part of the smallest spacing are at the same place: headers
round their numbers, and half a voxel would be a different image."""

Affine = npt.NDArray[np.float64]
"""(D + 1, D + 1) for D spatial axes."""

SMALLEST_VOLUME = 1e-9
"""An affine whose axes, scaled to length 1, span a smaller volume has axes that coincide."""

_LETTERS = (("L", "R"), ("P", "A"), ("I", "S"))


def reversed_axes(affine: Affine) -> Affine:
    """Return the affine for the axes in reverse order: from a file's (x, y, z) to an array's, or back."""
    last = affine.shape[0] - 1
    return np.asarray(affine[:, [*reversed(range(last)), last]])


def mirrored_left_right_and_front_back(affine: Affine) -> Affine:
    """Return the affine in LPS coordinates for one in RAS, or in RAS for one in LPS."""
    signs = np.ones(affine.shape[0])
    signs[:2] = -1
    return np.asarray(signs[:, np.newaxis] * affine)


def spacing_of(affine: Affine) -> tuple[float, ...]:
    """Return the distance of neighbouring voxels along each axis of the array, in millimetres."""
    return tuple(float(length) for length in np.linalg.norm(affine[:-1, :-1], axis=0))


def directions_of(affine: Affine) -> Affine:
    """Return (D, D): the directions of the array's axes, in columns of length 1."""
    return np.asarray(affine[:-1, :-1] / np.linalg.norm(affine[:-1, :-1], axis=0))


def is_singular(affine: Affine) -> bool:
    """Tell whether the axes do not span the space, or a number is not finite."""
    if not np.isfinite(affine).all() or min(spacing_of(affine)) <= 0:
        return True
    return bool(abs(np.linalg.det(directions_of(affine))) < SMALLEST_VOLUME)


def is_mirrored(affine: Affine) -> bool:
    """Tell whether the axes of the file (x, y, z) form a left-handed system: a negative determinant."""
    return bool(np.linalg.det(reversed_axes(affine)[:-1, :-1]) < 0)


def axis_codes(affine: Affine) -> str:
    """Return where the file's axes (x, y, z) point, such as ``RAS``: to the right, the front and the head.

    Each axis gets the direction that it is nearest to; every direction is used once.
    """
    directions = reversed_axes(affine)[:-1, :-1]
    directions = directions / np.linalg.norm(directions, axis=0)
    orders = itertools.permutations(range(3))
    best = max(
        orders, key=lambda order: sum(abs(directions[world, axis]) for axis, world in enumerate(order))
    )
    return "".join(_LETTERS[world][int(directions[world, axis] > 0)] for axis, world in enumerate(best))


def corner_voxels(shape: Sequence[int]) -> npt.NDArray[np.float64]:
    """Return (2**D, D): the positions of the corner voxels of an array."""
    return np.array(list(itertools.product(*((0, side - 1) for side in shape))), np.float64)


def largest_shift(first: Affine, second: Affine, shape: Sequence[int]) -> float:
    """Return the largest distance in millimetres between the places of a voxel by two affines.

    Args:
        first: One affine.
        second: The other.
        shape: *S of the array; the distance is largest at one of its corners.
    """
    moves = corner_voxels(shape) @ (first - second)[:-1, :-1].T + (first - second)[:-1, -1]
    return float(np.linalg.norm(moves, axis=1).max())


def grid_difference(first: Geometry, second: Geometry, shape: Sequence[int]) -> str:
    """Return how the grid of `second` differs from that of `first`, in words; empty if it is the same.

    Grids are the same if no voxel moves by more than `SAME_PLACE` of a spacing; unknown ones count as equal.

    Args:
        first: The expected geometry.
        second: The geometry found.
        shape: *S of both arrays.
    """
    steps, others = first.spacing_mm, second.spacing_mm
    if steps is None or others is None:
        return ""
    least, sides = min(*steps, *others), [max(1, side - 1) for side in shape]
    if any(abs(a - b) * n > SAME_PLACE * least for a, b, n in zip(steps, others, sides, strict=True)):
        return f"spacing {spacing_text(others)}, where {spacing_text(steps)} was expected"
    if first.affine is None or second.affine is None:
        return ""
    shift = largest_shift(first.affine, second.affine, shape)
    if shift <= SAME_PLACE * least:
        return ""
    codes, expected = axis_codes(second.affine), axis_codes(first.affine)
    if codes != expected:
        return f"orientation {codes}, where {expected} was expected"
    turned = directions_of(second.affine) - directions_of(first.affine)
    if (np.abs(turned).max(axis=0) * sides * steps).max() > SAME_PLACE * least:
        angle = largest_angle(first.affine, second.affine)
        return f"axes turned by up to {angle:.3g} degrees, so that voxels are up to {shift:.3g} mm apart"
    found, expected = _origin_text(second.affine), _origin_text(first.affine)
    return f"origin at {found}, {shift:.3g} mm from the expected {expected}"


def _origin_text(affine: Affine) -> str:
    return f"({', '.join(f'{part:.5g}' for part in affine[:-1, -1])})"


def largest_angle(first: Affine, second: Affine) -> float:
    """Return the largest angle between axes of the same place in two affines, in degrees."""
    cosines = (directions_of(first) * directions_of(second)).sum(axis=0)
    return float(np.degrees(np.arccos(np.clip(cosines, -1, 1))).max())


def spacing_text(spacing_mm: Sequence[float]) -> str:
    """Return a spacing as text, in the order of `size_text`: ``0.9x0.9x3 mm`` (x, y, then between slices)."""
    return "x".join(f"{step:.4g}" for step in reversed(spacing_mm)) + " mm"
