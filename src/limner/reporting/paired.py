"""Paired bootstrap: whether the difference between two runs may be due to the choice of images.

Shape legend: N images, K classes.
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from limner.core.randomness import generator
from limner.core.score_names import SCORES, Shown
from limner.metrics.bootstrap import REPLICATES
from limner.metrics.confusion import mean_of_present, ratio, scores_of_sums
from limner.metrics.spread import interval

SEGMENT_SCORES = {"mean_f1": "f1", "mean_pq": "pq"}
"""Score of objects or panoptic segments -> the first column of per_image.csv."""

KINDS = ("right", "false_positives", "false_negatives")


@dataclass(frozen=True)
class Difference:
    """Difference of a score between two runs, on the images that both share.

    Attributes:
        num_images: Number of shared images.
        value: The difference.
        low: Lower end of its 95 % interval.
        high: Upper end of its 95 % interval.
    """

    num_images: int
    value: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0


def paired_differences(
    first: Path, second: Path, *, background: int | None, seed: int = 0
) -> dict[str, Difference]:
    """Compare two `per_image.csv` files by drawing the same images from both repeatedly.

    Args:
        first: File of the run whose scores are subtracted.
        second: File of the other run.
        background: Index of the class that the foreground Dice excludes.
        seed: Seed of the draws.

    Returns:
        Score name -> second minus first, for scores that both have; empty if the files share no images or
        classes. For objects and segments, whose files contain no sums, the scores are means over the images
        that have one. Of volumes, the Dice of the cases is compared too.
    """
    of_segments = _mean_gain(first, second, seed=seed)
    if of_segments:
        return of_segments
    one, other = _read(first), _read(second)
    shared = sorted(one.keys() & other.keys())
    if len(shared) < 2 or _columns(first) != _columns(second):
        return {}
    counts = np.stack([[one[name], other[name]] for name in shared])  # (N, 2, 3, K)
    cases = _cases(first, second, shared)  # (2, N, K)
    draw = generator(seed, "paired")
    every = [np.arange(len(shared)), *(draw.integers(0, len(shared), len(shared)) for _ in range(REPLICATES))]
    gains = _gains(np.stack([counts[chosen].sum(0) for chosen in every], axis=2), background)
    if cases.size:
        before, after = (np.array([_mean_of_classes(of_run[chosen]) for chosen in every]) for of_run in cases)
        gains["mean_case_dice"] = after - before
    return {
        name: Difference(len(shared), float(values[0]), *interval(values[1:]))
        for name, values in gains.items()
        if not math.isnan(values[0])
    }


def _cases(first: Path, second: Path, shared: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return (2, N, K) the Dice of each class in each case, NaN where there is none; empty without cases."""
    found = []
    for path in (first, second):
        with path.open(newline="", encoding="utf-8") as file:
            table = csv.DictReader(file)
            columns = [head for head in table.fieldnames or [] if head.startswith("case_dice/")]
            rows = {row["name"]: [float(row[c] or "nan") for c in columns] for row in table}
        found.append([rows[name] for name in shared])
    return np.array(found) if len(found[0][0]) == len(found[1][0]) else np.zeros(0)


def _columns(path: Path) -> list[str]:
    """Return the columns of counts, which name the classes in order."""
    with path.open(newline="", encoding="utf-8") as file:
        return [head for head in csv.DictReader(file).fieldnames or [] if head.startswith(f"{KINDS[0]}/")]


def _mean_of_classes(dice: npt.NDArray[np.float64]) -> float:
    """Return the mean over the classes of their means over the cases, from (N, K)."""
    is_there = ~np.isnan(dice)
    return float(mean_of_present(ratio(np.nansum(dice, axis=0), is_there.sum(0))))


def _mean_gain(first: Path, second: Path, *, seed: int) -> dict[str, Difference]:
    """Compare files of objects or segments by their per-image score."""
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
    """Return image -> score if `column` is the first score of the file; skips images without a score."""
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        table = csv.DictReader(file)
        if (table.fieldnames or [])[1:2] != [column]:
            return {}
        return {row["name"]: float(row[column]) for row in table if row[column]}


def _gains(sums: npt.NDArray[np.int64], background: int | None) -> dict[str, npt.NDArray[np.float64]]:
    """Return (R,) scores of the second minus the first, from counts (2, 3, R, K) of R choices of images."""
    one, other = (scores_of_sums(r, r + missed, r + false) for r, false, missed in sums)
    before, after = one.overall(background), other.overall(background)
    return {name: after[name] - before[name] for name in before if SCORES[name].shown == Shown.HEADLINE}


def _read(path: Path) -> dict[str, npt.NDArray[np.int64]]:
    """Return image -> (3, K) pixel counts; empty for a file without them."""
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        table = csv.DictReader(file)
        heads = table.fieldnames or []
        columns = [[head for head in heads if head.startswith(f"{kind}/")] for kind in KINDS]
        if not columns[0]:
            return {}
        return {row["name"]: np.array([[int(row[c]) for c in kind] for kind in columns]) for row in table}
