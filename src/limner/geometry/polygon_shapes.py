"""Polygons: areas of overlap, outlines at a distance, and outlines that do not cross themselves.

A polygon is (points, 2) x, y in pixels, three points or more, in either direction of rotation. Where it
crosses itself, what counts as inside are all of its loops.

Shape legend: N and M polygons.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from limner.core.words import Polygon

Areas = npt.NDArray[np.float64]

SEGMENTS_OF_A_QUARTER = 8
"""Number of straight pieces of a rounded right angle: its error is below 0.5 % of the radius."""


def overlap_areas(first: Sequence[Polygon], second: Sequence[Polygon]) -> tuple[Areas, Areas, Areas]:
    """Return the areas that polygons share.

    Returns:
        (N, M) square pixels in both polygons of a pair, (N,) and (M,) areas of the polygons.
    """
    ours, theirs = _shapes(first), _shapes(second)
    shared = np.zeros((len(first), len(second)))
    if len(first) and len(second):
        rows, columns = shapely.STRtree(theirs).query(ours)  # pairs whose bounding boxes meet
        shared[rows, columns] = shapely.area(shapely.intersection(ours[rows], theirs[columns]))
    return shared, shapely.area(ours), shapely.area(theirs)


def area_and_length(polygon: Polygon) -> tuple[float, float]:
    """Return the area in square pixels and the perimeter in pixels."""
    (shape,) = _shapes([polygon])
    return float(shapely.area(shape)), float(shapely.length(shape))


def grown(polygon: Polygon, distance: float) -> Polygon:
    """Return the outline at a distance around a polygon, with round corners and without holes.

    Args:
        polygon: The polygon.
        distance: In pixels, 0 or more.
    """
    (shape,) = _shapes([polygon])
    around = shapely.buffer(shape, distance, quad_segs=SEGMENTS_OF_A_QUARTER, join_style="round")
    return _outline(_largest(around))


def untangled(polygon: Polygon) -> Polygon:
    """Return an outline that does not cross itself around a polygon that does.

    Four corners in a wrong order are put in order; of any other polygon the largest loop is kept.
    """
    if shapely.is_valid(shapely.polygons(polygon)):
        return polygon
    hull = shapely.convex_hull(shapely.multipoints(polygon))
    corners = _outline(hull) if isinstance(hull, shapely.Polygon) else polygon
    if len(polygon) == len(corners) == 4:
        return corners
    largest = _largest(shapely.make_valid(shapely.polygons(polygon)))
    return _outline(largest) if isinstance(largest, shapely.Polygon) else polygon


def _shapes(polygons: Sequence[Polygon]) -> npt.NDArray[np.object_]:
    """Return valid shapes, of which areas and intersections are defined."""
    shapes = np.array([shapely.polygons(polygon) for polygon in polygons], object).reshape(-1)
    tangled = ~shapely.is_valid(shapes)
    if tangled.any():
        shapes[tangled] = shapely.make_valid(shapes[tangled])
    return shapes


def _largest(shape: Any) -> Any:  # noqa: ANN401 - any geometry of shapely
    """Return the part of a shape with the largest area."""
    parts = shapely.get_parts(shape)
    return parts[int(np.argmax(shapely.area(parts)))] if len(parts) else shape


def _outline(shape: Any) -> Polygon:  # noqa: ANN401 - a polygon of shapely
    """Return the exterior of a shape without the repeated last point."""
    points: Polygon = shapely.get_coordinates(shapely.get_exterior_ring(shape))[:-1]
    return points
