"""Outlines of masks as polygons of few corners, for tools in which people move each corner by hand."""

from collections.abc import Sequence

import cv2
import numpy as np

from limner.core.segments import Mask
from limner.formats.drawn import Drawn, Shape
from limner.formats.shapes.polygons import area, crosses_itself, outlines_of

TRIES = 3
"""Tolerances that are tried, each half of the one before."""

LEAST_IOU = 0.9
"""Overlap of simplified and exact outlines below which less is simplified, as of small objects."""

Outlines = Sequence[tuple[bool, list[float]]]
"""Whether each is that of a hole, and its corners, as of `outlines_of`."""


def outlined(mask: Mask, *, tolerance: float, holes: bool) -> tuple[tuple[Shape, ...], float]:
    """Return the outlines of a mask, simplified, and how much of the mask they keep.

    An outline keeps a corner if it is further than the tolerance from the line that would replace it (Douglas
    and Peucker, 1973). Holes with an area of up to the square of twice the tolerance are filled. The
    tolerance is halved while outlines would overlap less than `LEAST_IOU` with the exact ones, or cross
    themselves.

    Args:
        mask: (H, W) with at least one pixel.
        tolerance: In pixels; 0 keeps every corner of every pixel.
        holes: Whether other holes are cut out; else they are filled too.

    Returns:
        The shapes, ``polygon`` and ``hole``, in the order in which they are filled and cut; and the
        intersection over union of the mask with the pixels that they cover.
    """
    outlines = [one for one in outlines_of(mask) if holes or not one[0]]
    exact = mask if holes else Drawn(0, _shapes(outlines, 0)).mask(*mask.shape)
    for distance in _tolerances(tolerance):
        shapes = _shapes(outlines, distance)
        covered = Drawn(0, shapes).mask(*mask.shape)
        if _iou(covered, exact) >= LEAST_IOU:
            break
    return shapes, _iou(covered, mask)


def _tolerances(tolerance: float) -> list[float]:
    """Return the tolerance, fractions of it, and none at all."""
    return [*(tolerance / 2**halving for halving in range(TRIES if tolerance else 0)), 0.0]


def _shapes(outlines: Outlines, tolerance: float) -> tuple[Shape, ...]:
    smallest = (2 * tolerance) ** 2
    return tuple(
        Shape("hole" if is_hole else "polygon", _simplified(outline, tolerance))
        for is_hole, outline in outlines
        if not is_hole or area(outline) > smallest
    )


def _simplified(outline: Sequence[float], tolerance: float) -> list[float]:
    """Return x, y, x, y, ... of the corners that are kept, of an outline with an area and no crossing."""
    points = np.reshape(outline, (-1, 1, 2)).astype(np.float32)
    for distance in _tolerances(tolerance)[:-1]:
        found = cv2.approxPolyDP(points, distance, closed=True).ravel().astype(float).tolist()
        if len(found) >= 6 and area(found) > 0 and not crosses_itself(found):
            return [*found]
    return [*outline]


def _iou(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / (one | other).sum())
