"""How scores spread over the images of a dataset: mean, median and low end, in memory that does not grow.

Shape legend: S scores of each image, B bins.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from limner.core.randomness import generator

BINS = 10_000
"""Scores from 0 to 1 are kept to a ten-thousandth, which is finer than anybody reads them."""

LOW_END = 0.05

Interval = tuple[float, float]
"""Lowest and highest value that chance leaves likely: 95 % of repetitions lie between."""

PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True)
class Spread:
    """One score over the images that have it.

    Attributes:
        num_images: How many have it; a score that an image lacks is NaN and not counted.
        mean: Over those images.
        median: Half of them lie above.
        percentile_5: One in twenty lies below.
        intervals: The same three with their bootstrap intervals; empty where nobody asked.
    """

    num_images: int
    mean: float
    median: float
    percentile_5: float
    intervals: dict[str, Interval]


class SpreadOfScores:
    """Histograms of several scores; adding up those of two workers gives the whole.

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
        """Add what another has counted."""
        self._tallies += other._tallies
        self._sums += other._sums

    def compute(self, score: int, *, name: str = "", replicates: int = 0, seed: int = 0) -> Spread:
        """Return the spread of one score.

        Args:
            score: Its number.
            name: Its name, on which the draws depend: other scores beside it must not change them.
            replicates: Times the images are drawn again, with replacement, for the intervals.
            seed: Of those draws.
        """
        bins = np.flatnonzero(self._tallies[score])
        tallies = self._tallies[score, bins].astype(np.int64)
        total = int(tallies.sum())
        if not total:
            return Spread(0, np.nan, np.nan, np.nan, {})
        draw = generator(seed, f"spread/{name}")
        drawn = [draw.multinomial(total, tallies / total) for _ in range(replicates)]
        values = np.array([_statistics(bins, again) for again in drawn])
        _, median, low_end = _statistics(bins, tallies)
        return Spread(
            num_images=total,
            mean=float(self._sums[score] / total),
            median=median,
            percentile_5=low_end,
            intervals={name: interval(values[:, i]) for i, name in enumerate(STATISTICS)} if drawn else {},
        )


STATISTICS = ("mean", "median", "percentile_5")


def interval(values: npt.NDArray[np.float64]) -> Interval:
    """Return the middle 95 % of repeated values; those that do not exist are left out."""
    present = values[~np.isnan(values)]
    if not len(present):
        return np.nan, np.nan
    low, high = np.percentile(present, PERCENTILES)
    return float(low), float(high)


def _statistics(bins: npt.NDArray[np.int64], tallies: npt.NDArray[np.int64]) -> tuple[float, float, float]:
    mean = float(bins @ tallies / tallies.sum() / BINS)
    return mean, _quantile(bins, tallies, 0.5), _quantile(bins, tallies, LOW_END)


def _quantile(bins: npt.NDArray[np.int64], tallies: npt.NDArray[np.int64], part: float) -> float:
    """Return the quantile as numpy has it: between two neighbours in rank, in proportion."""
    upto = np.cumsum(tallies)
    rank = part * (upto[-1] - 1)
    below, above = bins[np.searchsorted(upto, [int(rank), int(np.ceil(rank))], side="right")] / BINS
    return float(below + (above - below) * (rank - int(rank)))
