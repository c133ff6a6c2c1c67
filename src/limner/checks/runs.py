"""Connected components of a mask and their positions, for all values in one pass over its pixels.

A mask is split into runs: stretches of one value within a row. There are far fewer of them than pixels,
and number, size and position of the components follow from the runs alone.

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
        starts: (R,) first pixel of each run in the flattened mask.
        values: (R,) mask value of each run.
    """

    shape: tuple[int, int]
    starts: Numbers
    values: npt.NDArray[np.integer]

    @classmethod
    def of(cls, mask: ValueMap) -> "Runs":
        """Return the runs of a (H, W) mask of at least one pixel."""
        height, width = mask.shape
        is_start = np.ones(mask.shape, bool)
        np.not_equal(mask[:, 1:], mask[:, :-1], out=is_start[:, 1:])
        starts = np.flatnonzero(is_start)
        return cls((height, width), starts, mask.reshape(-1)[starts])

    @property
    def lengths(self) -> Numbers:
        """(R,) pixels of each run."""
        return np.diff(self.starts, append=self.shape[0] * self.shape[1])

    def pixels_of_values(self) -> tuple[npt.NDArray[np.integer], Numbers]:
        """Return (V,) the values, sorted, and (V,) the pixels of each."""
        found, place = np.unique(self.values, return_inverse=True)
        return found, np.bincount(place, weights=self.lengths).astype(np.int64)

    def centers_of_values(self) -> dict[int, tuple[float, float]]:
        """Return value -> mean row and column of its pixels, as fractions of the longer side."""
        found, place = np.unique(self.values, return_inverse=True)
        rows, first = np.divmod(self.starts, self.shape[1])
        pixels = np.bincount(place, weights=self.lengths) * max(self.shape)
        down = np.bincount(place, weights=self.lengths * (rows + 0.5)) / pixels
        right = np.bincount(place, weights=self.lengths * (first + self.lengths / 2)) / pixels
        return {int(v): (float(y), float(x)) for v, y, x in zip(found, down, right, strict=True)}


def pieces(runs: Runs) -> dict[int, Components]:
    """Return value -> its 8-connected components."""
    # Compiled, and slow to import.
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    size = len(runs.starts)
    upper, lower = _touching(runs)
    first = np.concatenate([[0], np.cumsum(np.bincount(upper, minlength=size))])
    # As float64, sorted and without repeats, as scipy would make it otherwise.
    links = csr_matrix((np.ones(len(lower)), lower, first), (size, size))
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

    Upper and lower run of each, sorted by the upper. What lies below a run are those from the one under the
    pixel before it to the one under the pixel after it.
    """
    height, width = runs.shape
    size, starts = len(runs.starts), runs.starts
    under = np.searchsorted(starts, starts + width, side="right") - 1
    under[starts >= (height - 1) * width] = size  # nothing is below the last row
    is_left = starts % width == 0
    is_left_of_next = np.append(is_left[1:], True)
    # The run under the pixel before this one is another where one begins right below its own beginning.
    begins = starts[np.minimum(under, size - 1)] == starts + width
    first = under - (begins & ~is_left)
    last = np.append(under[1:], size) - is_left_of_next
    counts = np.where(under < size, last - first + 1, 0)
    upper = np.repeat(np.arange(size), counts)
    lower = np.arange(len(upper)) + np.repeat(first - (np.cumsum(counts) - counts), counts)
    same = runs.values[upper] == runs.values[lower]
    return upper[same], lower[same]


def cell_shares(runs: Runs, values: list[int], side: int) -> dict[int, Grid]:
    """Return value -> (S, S) the share of each cell's pixels; cells may cut through pixels."""
    height, width = runs.shape
    rows, first = np.divmod(runs.starts, width)
    # (W + 1, S): how much of each column cell lies before each pixel.
    before = np.concatenate([np.zeros((1, side)), np.cumsum(cell_weights(width, side).T, axis=0)])
    of_columns = before[first + runs.lengths] - before[first]  # (R, S)
    of_rows = np.ascontiguousarray(cell_weights(height, side).T)  # (H, S)
    shares: dict[int, Grid] = {}
    for value in values:
        mine = np.flatnonzero(runs.values == value)
        shares[value] = np.asarray(of_rows[rows[mine]].T @ of_columns[mine], np.float32)
    return shares


def cell_weights(length: int, side: int) -> npt.NDArray[np.float64]:
    """Return (side, length) weights, each row the mean over its part of the axis."""
    edges = np.linspace(0, length, side + 1)
    pixels = np.arange(length)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.asarray(np.clip(overlap, 0, None) * (side / length))
