"""Outlines: the convex hulls of the objects of one image, from which boxes are taken after a turn.

The box around the turned corners of a box is larger than the object, and that around the turned hull is not.
Hulls suffice, since the box of an object is the box of its hull under any map of lines to lines.

Shape legend: N objects, P points of all outlines.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from limner.core.clipping import clip_polygon
from limner.core.targets import Points

SLACK = 0.1
"""Pixels by which an outline may exceed its box without being clipped: files round boxes and outlines."""


class Outlines(NamedTuple):
    """The outlines of N objects, concatenated.

    Attributes:
        points: (P, 2) float32 x, y in pixels.
        lengths: (N,) int64 number of points of each outline; 0 for an object of which only the box is known.
    """

    points: npt.NDArray[np.float32]
    lengths: npt.NDArray[np.int64]

    @classmethod
    def of(cls, outlines: Sequence[npt.NDArray[Any]]) -> "Outlines":
        """Return the outlines (points, 2) of N objects as one; those without points are unknown."""
        points = np.concatenate([np.empty((0, 2), np.float32), *outlines]).astype(np.float32)
        return cls(points, np.array([len(outline) for outline in outlines], np.int64))

    @property
    def are_known(self) -> npt.NDArray[np.bool_]:
        """(N,) whether there is an outline of each object."""
        return self.lengths > 0

    def select(self, wanted: npt.NDArray[np.bool_]) -> "Outlines":
        """Return the outlines for which `wanted` (N,) is True, in order."""
        return Outlines(self.points[np.repeat(wanted, self.lengths)], self.lengths[wanted])

    def moved(self, points: Callable[[Points], Points]) -> "Outlines":
        """Return the outlines with their points (P, 2) moved."""
        return Outlines(points(self.points.astype(np.float64)).astype(np.float32), self.lengths)

    def bounds(self) -> npt.NDArray[np.float64]:
        """Return the box (N, 4) around each outline: left, top, right, bottom; NaN for unknown ones."""
        bounds = np.full((len(self.lengths), 4), np.nan)
        known = self.are_known
        if known.any():
            starts = (np.cumsum(self.lengths) - self.lengths)[known]
            points = self.points.astype(np.float64)
            bounds[known, :2] = np.minimum.reduceat(points, starts)
            bounds[known, 2:] = np.maximum.reduceat(points, starts)
        return bounds

    def within(self, boxes: npt.NDArray[Any]) -> "Outlines":
        """Return the outlines clipped to one box (N, 4) each; those with no area there become unknown."""
        bounds = self.bounds()
        exceeds = (bounds[:, :2] < boxes[:, :2] - SLACK) | (bounds[:, 2:] > boxes[:, 2:] + SLACK)
        cut = exceeds.any(1)
        if not cut.any():
            return self
        parts: list[npt.NDArray[Any]] = np.split(self.points, np.cumsum(self.lengths)[:-1])
        for number in np.flatnonzero(cut).tolist():
            corner, size = boxes[number, :2].astype(np.float64), boxes[number, 2:] - boxes[number, :2]
            inside = clip_polygon((parts[number] - corner).ravel().tolist(), float(size[0]), float(size[1]))
            parts[number] = np.reshape(inside, (-1, 2)) + corner
        return Outlines.of(parts)
