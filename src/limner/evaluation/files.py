"""Scores on disk: `scores.json` for the whole split and `per_image.csv`, written as images come."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from limner.evaluation.definitions import DEFINITIONS
from limner.evaluation.scorer import ImageScores, Scores
from limner.formats.whole_files import write_json

SCORES, PER_IMAGE, PICTURES = "scores.json", "per_image.csv", "pictures"


@dataclass(frozen=True)
class Skipped:
    """An image that could not be scored, and why."""

    name: str
    reason: str


def scores_dict(scores: Scores, *, split: str, skipped: Sequence[Skipped] = ()) -> dict[str, Any]:
    """Return scores as JSON-ready values; what does not exist is None, since JSON has no NaN."""
    found = scores.to_dict()
    return {
        "task": found.pop("task"),
        "split": split,
        **_without_nan(found),
        "definitions": DEFINITIONS[str(scores.to_dict()["task"])],
        "skipped": [{"name": s.name, "reason": s.reason} for s in skipped],
    }


def write_scores(folder: Path, scores: Scores, *, split: str, skipped: Sequence[Skipped] = ()) -> Path:
    """Write `scores.json` into a folder, whole or not at all, and return its path."""
    path = folder / SCORES
    write_json(path, scores_dict(scores, split=split, skipped=skipped))
    return path


class PerImageFile:
    """Writes `per_image.csv`: the name, then one number a column.

    A cell is empty where there is no score. Rows are written as images come, so memory does not grow.

    Args:
        folder: Where; it exists.
        columns: What the numbers are, as a scorer says.
    """

    def __init__(self, folder: Path, columns: Sequence[str]) -> None:
        self.path = folder / PER_IMAGE
        self._file: TextIO = self.path.open("w", newline="", encoding="utf-8")
        self._rows = csv.writer(self._file)
        self._rows.writerow(["name", *columns])

    def write(self, scores: ImageScores) -> None:
        """Add one image."""
        self._rows.writerow([scores.name, *(_cell(float(n)) for n in scores.numbers)])

    def __enter__(self) -> "PerImageFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _without_nan(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _cell(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6f}"
