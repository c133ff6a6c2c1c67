"""Outlines of masks as polygons of few corners, for tools in which people move each corner by hand."""

from collections.abc import Sequence

import cv2
import numpy as np

from limner.core.segments import Mask
from limner.formats.drawn import Drawn, Shape
from limner.formats.shapes.polygons import area, crosses_itself, outlines_of

TRIES = 3
"""Tolerances that are tried for an outline, each half of the one before."""

MOST_LOST = 0.1
"""Part of its area that an outline may gain or lose: a tolerance of a pixel would eat up small objects."""


def outlined(mask: Mask, *, tolerance: float, holes: bool) -> tuple[tuple[Shape, ...], float]:
    """Return the outlines of a mask, simplified, and how much of the mask they keep.

    An outline keeps a corner if it is further than the tolerance from the line that would replace it (Douglas
    and Peucker, 1973). An outline that would cross itself, or gain or lose a tenth of its area, is simplified
    less. Holes with an area of up to the square of twice the tolerance are filled, unless all such holes
    together are more than a tenth of the mask.

    Args:
        mask: (H, W) with at least one pixel.
        tolerance: In pixels; 0 keeps every corner of every pixel.
        holes: Whether the other holes are cut out; else they are filled too.

    Returns:
        The shapes, ``polygon`` and ``hole``, in the order in which they are filled and cut; and the
        intersection over union of the mask with the pixels that they cover.
    """
    outlines = [(is_hole, outline, area(outline)) for is_hole, outline in outlines_of(mask)]
    smallest = (2 * tolerance) ** 2
    if sum(size for is_hole, _, size in outlines if is_hole and size <= smallest) > MOST_LOST * mask.sum():
        smallest = 0.0
    shapes = tuple(
        Shape("hole" if is_hole else "polygon", _simplified(outline, tolerance))
        for is_hole, outline, size in outlines
        if not is_hole or (holes and size > smallest)
    )
    covered = Drawn(0, shapes).mask(*mask.shape)
    return shapes, float((covered & mask).sum() / (covered | mask).sum())


def _simplified(outline: Sequence[float], tolerance: float) -> list[float]:
    """Return x, y, x, y, ... of the corners that are kept."""
    points, exact = np.reshape(outline, (-1, 1, 2)).astype(np.float32), area(outline)
    for halving in range(TRIES if tolerance else 0):
        distance = tolerance / 2**halving
        found = cv2.approxPolyDP(points, distance, closed=True).ravel().astype(float).tolist()
        is_kept = len(found) >= 6 and abs(area(found) - exact) <= MOST_LOST * exact
        if is_kept and not crosses_itself(found):
            return [*found]
    return [*outline]
