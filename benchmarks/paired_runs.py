"""Scores of runs that differ in one thing, seed by seed: their table, and the interval of the difference."""

import json
import statistics
from collections.abc import Mapping

from scipy.stats import t as students_t


def scores_of(run) -> dict[str, float]:
    """Return the scores of a run's validation images."""
    return json.loads((run.evaluation("val") / "scores.json").read_text(encoding="utf-8"))


def print_rows(found: Mapping[str, list[float]], prefix: str = "") -> None:
    """Print a row of scores for each kind of run, and one of what the last adds to the one before it.

    Args:
        found: Kind of run -> its score for each seed.
        prefix: Cells before those of the table.
    """
    for kind, scores in found.items():
        each = ", ".join(f"{score:.4f}" for score in scores)
        print(f"{prefix}| {kind} | {each} | {statistics.mean(scores):.4f} |")
    *_, before, after = found.values()
    gains = [more - less for less, more in zip(before, after, strict=True)]
    each = ", ".join(f"{gain:+.4f}" for gain in gains)
    print(f"{prefix}| difference | {each} | {statistics.mean(gains):+.4f}{interval(gains)} |", flush=True)


def interval(gains: list[float]) -> str:
    """Return the 95 % interval of the mean, by Student's t, of at least two differences."""
    if len(gains) < 2:
        return ""
    half = students_t.ppf(0.975, len(gains) - 1) * statistics.stdev(gains) / len(gains) ** 0.5
    return f" +- {half:.4f}"
