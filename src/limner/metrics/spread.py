"""Distribution of scores over the images of a dataset: mean, median and 5th percentile, in constant memory.

Shape legend: S scores of each image, B bins.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from limner.core.randomness import generator

BINS = 10_000
"""Number of histogram bins from 0 to 1: a resolution of 0.0001."""

LOW_END = 0.05

BLOCK = 2**20
"""Number of tallies of replicates at once, which limits memory."""

Interval = tuple[float, float]
"""Bounds of a 95 % bootstrap interval."""

PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True)
class Spread:
    """Distribution of one score over the images that have it.

    Attributes:
        num_images: Number of images with the score; images where it is NaN are not counted.
        mean: Over those images.
        median: Median over those images.
        percentile_5: 5th percentile over those images.
        intervals: Bootstrap intervals of these three; empty unless requested.
    """

    num_images: int
    mean: float
    median: float
    percentile_5: float
    intervals: dict[str, Interval]


class SpreadOfScores:
    """Histograms of several scores; additive over workers.

    Args:
        num_scores: S.
    """

    def __init__(self, num_scores: int) -> None:
        self._tallies = np.zeros((num_scores, BINS + 1), np.uint32)
        self._sums = np.zeros(num_scores)

    def update(self, scores: npt.NDArray[np.float64]) -> None:
        """Add one image: (S) values from 0 to 1, or NaN."""
        present = np.flatnonzero(~np.isnan(scores))
        self._tallies[present, np.rint(scores[present] * BINS).astype(np.int64)] += 1
        self._sums[present] += scores[present]

    def merge(self, other: "SpreadOfScores") -> None:
        """Add the counts of another instance."""
        self._tallies += other._tallies
        self._sums += other._sums

    def compute(self, score: int, *, name: str = "", replicates: int = 0, seed: int = 0) -> Spread:
        """Return the distribution of one score.

        Args:
            score: Index of the score.
            name: Name of the score; its draws depend on it, so that other scores cannot change them.
            replicates: Number of bootstrap replicates for the intervals.
            seed: Random seed of the bootstrap.
        """
        bins = np.flatnonzero(self._tallies[score])
        tallies = self._tallies[score, bins].astype(np.int64)
        total = int(tallies.sum())
        if not total:
            return Spread(0, np.nan, np.nan, np.nan, {})
        draw = generator(seed, f"spread/{name}")
        ends = [*range(0, replicates, max(1, BLOCK // len(bins))), replicates]
        drawn = (draw.multinomial(total, tallies / total, after - before) for before, after in pairwise(ends))
        values = np.concatenate([_statistics(bins, again) for again in (tallies[None], *drawn)])
        _, median, low_end = values[0]
        return Spread(
            num_images=total,
            mean=float(self._sums[score] / total),
            median=float(median),
            percentile_5=float(low_end),
            intervals={n: interval(values[1:, i]) for i, n in enumerate(STATISTICS)} if replicates else {},
        )


STATISTICS = ("mean", "median", "percentile_5")


def interval(values: npt.NDArray[np.float64]) -> Interval:
    """Return the central 95 % interval of the values of replicates, ignoring NaN."""
    present = values[~np.isnan(values)]
    if not len(present):
        return np.nan, np.nan
    low, high = np.percentile(present, PERCENTILES)
    return float(low), float(high)


def _statistics(bins: npt.NDArray[np.int64], tallies: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return (R, 3): mean, median and 5th percentile of each of (R, B) tallies with the same sum."""
    upto = np.cumsum(tallies, axis=1)
    total = int(upto[0, -1])
    mean = tallies @ bins / total / BINS
    return np.stack([mean, *(_quantile(bins, upto, part * (total - 1)) for part in (0.5, LOW_END))], axis=1)


def _quantile(
    bins: npt.NDArray[np.int64], upto: npt.NDArray[np.int64], rank: float
) -> npt.NDArray[np.float64]:
    """Return (R,) the value at a rank from 0, with linear interpolation, as in numpy."""
    below, above = (bins[(upto <= place).sum(1)] / BINS for place in (int(rank), math.ceil(rank)))
    return np.asarray(below + (above - below) * (rank - int(rank)))
