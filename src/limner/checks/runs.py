"""The pieces of a mask and where they lie, for all values in one pass over its pixels.

A mask is taken apart into runs: stretches of one value within a row. There are far fewer of them than pixels,
and what is asked (how many pieces, how large, in which part of the picture) is answered from the runs alone.

Shape legend: H, W spatial sizes, R runs, V values, S side of a grid.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from limner.checks.facts import Components, Grid
from limner.core.labels import ValueMap

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Runs:
    """The runs of a (H, W) mask, row by row.

    Attributes:
        shape: (H, W).
        starts: (R,) where each begins in the flattened mask.
        values: (R,) its value.
    """

    shape: tuple[int, int]
    starts: Numbers
    values: npt.NDArray[np.integer]

    @classmethod
    def of(cls, mask: ValueMap) -> "Runs":
        """Take a (H, W) mask of at least one pixel apart."""
        height, width = mask.shape
        is_start = np.ones(mask.shape, bool)
        np.not_equal(mask[:, 1:], mask[:, :-1], out=is_start[:, 1:])
        starts = np.flatnonzero(is_start)
        return cls((height, width), starts, mask.reshape(-1)[starts])

    @property
    def lengths(self) -> Numbers:
        """(R,) pixels of each."""
        return np.diff(self.starts, append=self.shape[0] * self.shape[1])


def pieces(runs: Runs) -> dict[int, Components]:
    """Return value -> its 8-connected pieces."""
    # A compiled part of a dependency that takes long to load.
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    one, two = _touching(runs)
    size = len(runs.starts)
    links = coo_matrix((np.ones(len(one), np.int8), (one, two)), (size, size))
    count, piece = connected_components(links, directed=False)
    areas = np.bincount(piece, weights=runs.lengths, minlength=count)
    value_of = np.empty(count, np.int64)
    value_of[piece] = runs.values
    order = np.lexsort((areas, value_of))
    found, first, counts = np.unique(value_of[order], return_index=True, return_counts=True)
    sorted_areas = areas[order]
    # The median of each value's stretch of the sorted areas.
    medians = (sorted_areas[first + (counts - 1) // 2] + sorted_areas[first + counts // 2]) / 2
    return {
        int(value): Components(int(n), float(median))
        for value, n, median in zip(found, counts, medians, strict=True)
    }


def _touching(runs: Runs) -> tuple[Numbers, Numbers]:
    """Return the pairs of runs of one value that touch, corners included.

    Two runs in neighbouring rows meet first where the later of them begins: so it is enough to look up, down
    and to the left of those from where each run begins.
    """
    height, width = runs.shape
    rows, columns = np.divmod(runs.starts, width)
    number = np.arange(len(runs.starts))
    pairs = []
    for row_step, column_step in ((-1, 0), (1, 0), (-1, -1), (1, -1)):
        there = (rows + row_step >= 0) & (rows + row_step < height) & (columns + column_step >= 0)
        place = runs.starts[there] + row_step * width + column_step
        other = np.searchsorted(runs.starts, place, side="right") - 1
        same = runs.values[other] == runs.values[there]
        pairs.append((number[there][same], other[same]))
    return np.concatenate([one for one, _ in pairs]), np.concatenate([two for _, two in pairs])


def cell_shares(runs: Runs, values: list[int], side: int) -> dict[int, Grid]:
    """Return value -> (S, S) the share of each cell's pixels; cells may cut through pixels."""
    height, width = runs.shape
    rows, first = np.divmod(runs.starts, width)
    last = first + runs.lengths
    # (W + 1, S): how much of each column cell lies before each pixel.
    before = np.concatenate([np.zeros((1, side)), np.cumsum(cell_weights(width, side).T, axis=0)])
    of_rows = cell_weights(height, side)
    shares: dict[int, Grid] = {}
    for value in values:
        mine = np.flatnonzero(runs.values == value)
        covered = np.zeros((height, side))
        np.add.at(covered, rows[mine], before[last[mine]] - before[first[mine]])
        shares[value] = np.asarray(of_rows @ covered, np.float32)
    return shares


def cell_weights(length: int, side: int) -> npt.NDArray[np.float64]:
    """Return (side, length) weights, each row the mean over its part of the axis."""
    edges = np.linspace(0, length, side + 1)
    pixels = np.arange(length)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.asarray(np.clip(overlap, 0, None) * (side / length))
