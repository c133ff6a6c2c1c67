"""Clip polygons and lines at the borders of an image."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
"""(P, 2) x, y."""


def clip_polygon(polygon: Sequence[float], width: float, height: float) -> list[float]:
    """Clip x, y, x, y, ... at the borders of an image (Sutherland and Hodgman, 1974); empty if outside.

    Moving the outer corners to the border instead would bend the sides that lead to them.
    """
    points = np.reshape(np.asarray(polygon, np.float64), (-1, 2))
    for axis, border, sign in ((0, 0.0, 1), (0, width, -1), (1, 0.0, 1), (1, height, -1)):
        points = _clip_side(points, axis, border, sign)
    flat: list[float] = points.ravel().tolist()
    return flat if len(points) >= 3 else []


def clip_line(line: Sequence[float], width: float, height: float, *, margin: float) -> list[list[float]]:
    """Return the pieces of x, y, ... that are at most `margin` outside an image (Liang and Barsky, 1984)."""
    points = np.reshape(np.asarray(line, np.float64), (-1, 2))
    low, high = np.array([-margin, -margin]), np.array([width + margin, height + margin])
    pieces: list[list[float]] = []
    for start, end in zip(points[:-1], points[1:], strict=True):
        step = end - start
        with np.errstate(divide="ignore", invalid="ignore"):
            ways = np.sort(np.stack([(low - start) / step, (high - start) / step]), axis=0)
        still = step == 0
        ways[:, still] = np.where((low <= start) & (start <= high), [[-np.inf], [np.inf]], np.inf)[:, still]
        first, last = max(0.0, ways[0].max()), min(1.0, ways[1].min())
        if first <= last:
            ends = (start + first * step).tolist(), (start + last * step).tolist()
            joined = bool(pieces) and pieces[-1][-2:] == ends[0]
            pieces = [*pieces[:-1], [*pieces[-1], *ends[1]]] if joined else [*pieces, [*ends[0], *ends[1]]]
    return pieces


def _clip_side(points: Points, axis: int, border: float, sign: int) -> Points:
    """Return what lies on one side of a line along an axis, with a corner wherever an edge meets the line."""
    depth = sign * (points[:, axis] - border)
    if (depth >= 0).all():
        return points
    inside_points = []
    for here, there, inside, beyond in zip(
        points, np.roll(points, -1, axis=0), depth, np.roll(depth, -1), strict=True
    ):
        if inside >= 0:
            inside_points.append(here)
        if inside * beyond < 0:
            met = here + (there - here) * inside / (inside - beyond)
            met[axis] = border  # exact in spite of rounding
            inside_points.append(met)
    return np.reshape(np.asarray(inside_points, np.float64), (-1, 2))
