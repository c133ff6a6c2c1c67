"""Is the difference of two runs more than the luck of the images? The paired bootstrap.

Shape legend: N images, K classes.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from limner.core.randomness import generator
from limner.core.score_names import SCORES, Shown
from limner.metrics.bootstrap import REPLICATES
from limner.metrics.confusion import scores_of_sums
from limner.metrics.spread import interval

SEGMENT_SCORES = {"mean_f1": "f1", "mean_pq": "pq"}
"""Differences of objects and of panoptic segments -> the first column of their files."""

KINDS = ("right", "false_positives", "false_negatives")


@dataclass(frozen=True)
class Difference:
    """One score of a run less that of another, on the images that both have.

    Attributes:
        num_images: How many images both have.
        value: The difference.
        low: Lower end of its 95 % interval.
        high: Upper end.
    """

    num_images: int
    value: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def paired_differences(
    first: Path, second: Path, *, background: int | None, seed: int = 0
) -> dict[str, Difference]:
    """Compare two `per_image.csv` by drawing the same images from both, again and again.

    Args:
        first: The file of the run that is subtracted.
        second: The file of the other run.
        background: Number of the class that the foreground Dice leaves out.
        seed: Of the draws.

    Returns:
        Score name -> the second's less the first's; empty where the files share no images or classes. Of
        objects and segments, whose files hold no sums, it is the mean over the images that have the score.
    """
    of_segments = _mean_gain(first, second, seed=seed)
    if of_segments:
        return of_segments
    one, other = _read(first), _read(second)
    shared = sorted(one.keys() & other.keys())
    if len(shared) < 2 or one[shared[0]].shape != other[shared[0]].shape:
        return {}
    counts = np.stack([[one[name], other[name]] for name in shared])  # (N, 2, 3, K)
    draw = generator(seed, "paired")
    drawn = [counts[draw.integers(0, len(shared), len(shared))].sum(0) for _ in range(REPLICATES)]
    exact = _gain(counts.sum(0), background)
    again = [_gain(sums, background) for sums in drawn]
    return {
        name: Difference(len(shared), value, *interval(np.array([gain[name] for gain in again])))
        for name, value in exact.items()
    }


def _mean_gain(first: Path, second: Path, *, seed: int) -> dict[str, Difference]:
    """Compare files of objects or segments by the score that ranks their images."""
    for name, column in SEGMENT_SCORES.items():
        one, other = _column(first, column), _column(second, column)
        shared = sorted(one.keys() & other.keys())
        if len(shared) < 2:
            continue
        gains = np.array([other[image] - one[image] for image in shared])
        draw = generator(seed, "paired")
        again = [gains[draw.integers(0, len(gains), len(gains))].mean() for _ in range(REPLICATES)]
        return {name: Difference(len(shared), float(gains.mean()), *interval(np.array(again)))}
    return {}


def _column(path: Path, column: str) -> dict[str, float]:
    """Return image -> score, where the file's images are ranked by it; images without one are left out."""
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        table = csv.DictReader(file)
        if (table.fieldnames or [])[1:2] != [column]:
            return {}
        return {row["name"]: float(row[column]) for row in table if row[column]}


def _gain(sums: npt.NDArray[np.int64], background: int | None) -> dict[str, float]:
    """Return the second's scores less the first's, of counts (2, 3, K)."""
    one, other = (scores_of_sums(r, r + missed, r + false) for r, false, missed in sums)
    before, after = one.overall(background), other.overall(background)
    return {name: after[name] - before[name] for name in before if SCORES[name].shown == Shown.HEADLINE}


def _read(path: Path) -> dict[str, npt.NDArray[np.int64]]:
    """Return image -> (3, K) pixels; empty for a file without them."""
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        table = csv.DictReader(file)
        heads = table.fieldnames or []
        columns = [[head for head in heads if head.startswith(f"{kind}/")] for kind in KINDS]
        if not columns[0]:
            return {}
        return {row["name"]: np.array([[int(row[c]) for c in kind] for kind in columns]) for row in table}
