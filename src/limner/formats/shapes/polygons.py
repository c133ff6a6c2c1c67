"""Geometry of outlines: areas, one inside another, crossing themselves, and traced around a mask."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from limner.core.clipping import Points
from limner.core.segments import Mask

Corner = tuple[int, int]

BLOCK = 512
"""Sides of an outline that are compared with each other at a time."""


def area(polygon: Sequence[float]) -> float:
    """Return the area of x, y, x, y, ... in square pixels."""
    # Plain Python: for a few dozen corners it is five times faster than numpy, and there are millions.
    x, y = list(polygon[::2]), list(polygon[1::2])
    around = zip(x, y, [*x[1:], *x[:1]], [*y[1:], *y[:1]], strict=True)
    return abs(sum(a * d - c * b for a, b, c, d in around)) / 2


def is_inside(inner: Sequence[float], outer: Sequence[float]) -> bool:
    """Tell whether each corner of `inner` is inside `outer` or on its outline."""
    for axis in (0, 1):  # the bounds decide most pairs
        near, far = inner[axis::2], outer[axis::2]
        if min(near) < min(far) or max(near) > max(far):
            return False
    outline = np.reshape(outer, (-1, 1, 2)).astype(np.float32)
    points = np.reshape(inner, (-1, 2)).tolist()
    return all(cv2.pointPolygonTest(outline, (x, y), measureDist=False) >= 0 for x, y in points)


def crosses_itself(polygon: Sequence[float]) -> bool:
    """Tell whether two sides of x, y, x, y, ... cross properly; those that only touch do not."""
    start: Points = np.reshape(np.asarray(polygon, np.float64), (-1, 2))
    end = np.roll(start, -1, axis=0)
    step = end - start

    def parts(first: slice, second: slice) -> npt.NDArray[np.bool_]:
        """Return (I, J): whether line i has the ends of side j strictly on both of its sides."""
        sides = [
            step[first, None, 0] * offset[..., 1] - step[first, None, 1] * offset[..., 0]
            for offset in (points[None, second] - start[first, None] for points in (start, end))
        ]
        return np.asarray(sides[0] * sides[1] < 0)

    # A crossing parts both ways. In blocks, since an outline may have thousands of corners.
    blocks = [slice(first, first + BLOCK) for first in range(0, len(start), BLOCK)]
    return any(bool((parts(a, b) & parts(b, a).T).any()) for n, a in enumerate(blocks) for b in blocks[n:])


def outlines_of(mask: Mask) -> list[tuple[bool, list[float]]]:
    """Trace a mask along the edges of its pixels, so that filling the outlines gives the same pixels back.

    Returns:
        Whether the outline is a hole's, and x, y, x, y, ... of its corners; the largest first, so that what
        is inside a hole comes after it.
    """
    found = []
    for loop in _loops(mask):
        x, y = loop[:, 0], loop[:, 1]
        # With the inside on the right (y points down), outer outlines turn one way and holes the other.
        twice = int(x @ np.roll(y, -1) - y @ np.roll(x, -1))
        found.append((abs(twice), twice < 0, loop.ravel().astype(float).tolist()))
    return [(is_hole, outline) for _, is_hole, outline in sorted(found, key=lambda row: -row[0])]


def _loops(mask: Mask) -> list[npt.NDArray[np.int64]]:
    """Return closed walks along pixel edges with the mask on the right, corners only."""
    padded = np.pad(mask, 1)
    inner = padded[1:-1, 1:-1]
    # Of each pixel: top edge to the right, right edge down, bottom edge to the left, left edge up.
    edges = (
        (padded[:-2, 1:-1], (0, 0), (1, 0)),
        (padded[1:-1, 2:], (1, 0), (1, 1)),
        (padded[2:, 1:-1], (1, 1), (0, 1)),
        (padded[1:-1, :-2], (0, 1), (0, 0)),
    )
    follow: dict[Corner, list[Corner]] = {}
    for beside, start, end in edges:
        for row, column in np.argwhere(inner & ~beside).tolist():
            a = (column + start[0], row + start[1])
            follow.setdefault(a, []).append((column + end[0], row + end[1]))
    return _walked(follow)


def _walked(follow: dict[Corner, list[Corner]]) -> list[npt.NDArray[np.int64]]:
    loops = []
    while follow:
        first = next(iter(follow))
        here, came, walk = first, (0, 0), []
        while True:
            there = _next(follow, here, came)
            step = (there[0] - here[0], there[1] - here[1])
            if step != came:
                walk.append(here)
            here, came = there, step
            if here == first:
                break
        # The start is a corner only if the walk turns there.
        closing = (walk[1][0] - walk[0][0], walk[1][1] - walk[0][1])
        straight = closing[0] * came[1] == closing[1] * came[0]
        loops.append(np.array(walk[1:] if straight else walk, np.int64))
    return loops


def _next(follow: dict[Corner, list[Corner]], here: Corner, came: Corner) -> Corner:
    """Take an edge from `here`; where two pixels touch by a corner only, turn right to stay on this one."""
    ways = follow[here]
    right = (here[0] - came[1], here[1] + came[0])
    there = right if len(ways) > 1 and right in ways else ways[0]
    ways.remove(there)
    if not ways:
        del follow[here]
    return there
