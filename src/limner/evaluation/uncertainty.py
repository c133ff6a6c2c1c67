"""Uncertainty of scores: their distribution over the images, and confidence intervals.

Shape legend: R bootstrap replicates.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.score_names import SCORES
from limner.metrics.bootstrap import REPLICATES, PoissonBootstrap
from limner.metrics.spread import Interval, Spread, SpreadOfScores, interval

FEWEST_IMAGES = 5
"""Minimum number of images for bootstrap intervals; with fewer, they are meaningless."""

NOT_SPREAD = ("precision/", "recall/")
"""Prefixes of scores per class and image that are not informative and would bloat the file."""

BLOCK = 2**20
"""Number of counts of replicates of which scores are computed at once, which limits memory."""

Named = Callable[[npt.NDArray[Any]], Mapping[str, npt.NDArray[np.float64]]]


class Uncertainty:
    """Accumulates the counts of each image.

    Args:
        named: Function from counts to score name -> value; from counts with the replicates as second axis, to
            score name -> (R,) values.
        shape: Shape of the counts of one image.
        dtype: Type of the counts.
        seed: Random seed of the bootstrap.
    """

    def __init__(
        self,
        named: Named,
        *,
        shape: tuple[int, ...],
        dtype: npt.DTypeLike = np.int64,
        seed: int = 0,
    ) -> None:
        self._named = named
        self._names = [n for n in named(np.zeros(shape, dtype)) if _is_spread(n)]
        self._bootstrap = PoissonBootstrap(shape, dtype=dtype, seed=seed)
        self._spread = SpreadOfScores(len(self._names))
        self._seed = seed
        self._num_images = 0

    def update(self, name: str, counts: npt.NDArray[Any]) -> None:
        """Add one image."""
        self._bootstrap.update(name, counts)
        values = self._named(counts)
        self._spread.update(np.array([values[name] for name in self._names]))
        self._num_images += 1

    def merge(self, other: "Uncertainty") -> None:
        """Add the counts of other images from another instance."""
        self._bootstrap.merge(other._bootstrap)
        self._spread.merge(other._spread)
        self._num_images += other._num_images

    def intervals(self) -> dict[str, Interval]:
        """Return score name -> 95 % interval of the pooled score; empty for too few images."""
        if self._num_images < FEWEST_IMAGES:
            return {}
        return intervals_of(lambda sums: self._named(np.moveaxis(sums, 0, 1)), self._bootstrap.sums)

    def spreads(self) -> dict[str, Spread]:
        """Return score name -> its distribution over the images; scores over all classes have intervals."""
        enough = self._num_images >= FEWEST_IMAGES
        return {
            name: self._spread.compute(
                number,
                name=name,
                replicates=REPLICATES if enough and "/" not in name else 0,
                seed=self._seed,
            )
            for number, name in enumerate(self._names)
        }


def intervals_of(named: Named, replicates: npt.NDArray[Any]) -> dict[str, Interval]:
    """Return score name -> 95 % interval of its values in bootstrap replicates.

    Args:
        named: Function from some of the replicates to score name -> one value of each.
        replicates: (R, ...) what the scores of each are computed from.
    """
    # Products of matrices add up in the same order for any multiple of eight rows.
    rows = max(8, BLOCK // max(1, replicates[0].size) // 8 * 8)
    parts = [named(replicates[first : first + rows]) for first in range(0, len(replicates), rows)]
    return {name: interval(np.concatenate([part[name] for part in parts])) for name in parts[0]}


def spread_of(name: str, values: npt.NDArray[np.float64]) -> Spread:
    """Return the distribution of a score over the images, with intervals if there are enough of them.

    Args:
        name: Name of the score.
        values: (N,) value of each image; NaN where it has none.
    """
    counted = SpreadOfScores(1)
    for value in values:
        counted.update(np.array([value]))
    return counted.compute(0, name=name, replicates=REPLICATES if len(values) >= FEWEST_IMAGES else 0)


def _is_spread(name: str) -> bool:
    """Return whether to record the distribution of a score; only for scores from 0 to 1, not for counts."""
    return not name.startswith(NOT_SPREAD) and not SCORES[name.partition("/")[0]].unit
