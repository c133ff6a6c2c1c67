"""Scores on disk: `scores.json` for the whole split and `per_image.csv`, written as images come."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from limner.core.labels import LabelTable
from limner.evaluation.definitions import DEFINITIONS
from limner.evaluation.semantic import ImageScores, SemanticScores
from limner.formats.whole_files import write_json

SCORES, PER_IMAGE, PICTURES = "scores.json", "per_image.csv", "pictures"


@dataclass(frozen=True)
class Skipped:
    """An image that could not be scored, and why."""

    name: str
    reason: str


def scores_dict(scores: SemanticScores, *, split: str, skipped: Sequence[Skipped] = ()) -> dict[str, Any]:
    """Return scores as JSON-ready values; what does not exist is None, since JSON has no NaN."""
    pixel = scores.pixel
    classes = [
        {
            "name": name,
            "iou": _number(pixel.iou[i]),
            "dice": _number(pixel.dice[i]),
            "precision": _number(pixel.precision[i]),
            "recall": _number(pixel.recall[i]),
            "pixels": int(pixel.pixels[i]),
            "predicted_pixels": int(pixel.predicted_pixels[i]),
            "false_positives": int(pixel.false_positives[i]),
            "false_negatives": int(pixel.false_negatives[i]),
        }
        for i, name in enumerate(scores.labels.names)
    ]
    return {
        "task": "semantic",
        "split": split,
        "num_images": scores.num_images,
        "classes": classes,
        "mean_iou": _number(pixel.mean_iou),
        "mean_dice": _number(pixel.mean_dice),
        "foreground_dice": _number(scores.foreground_dice),
        "pixel_accuracy": _number(pixel.pixel_accuracy),
        "frequency_weighted_iou": _number(pixel.frequency_weighted_iou),
        "num_absent_classes": pixel.num_absent,
        "confusion_matrix": scores.confusion.tolist(),
        "definitions": DEFINITIONS,
        "skipped": [{"name": s.name, "reason": s.reason} for s in skipped],
    }


def write_scores(
    folder: Path, scores: SemanticScores, *, split: str, skipped: Sequence[Skipped] = ()
) -> Path:
    """Write `scores.json` into a folder, whole or not at all, and return its path."""
    path = folder / SCORES
    write_json(path, scores_dict(scores, split=split, skipped=skipped))
    return path


class PerImageFile:
    """Writes `per_image.csv`: name, foreground_dice, mean_iou, then IoU and Dice of each class.

    A cell is empty where there is no score. Rows are written as images come, so memory does not grow.

    Args:
        folder: Where; it exists.
        labels: The classes.
    """

    def __init__(self, folder: Path, labels: LabelTable) -> None:
        self.path = folder / PER_IMAGE
        self._file: TextIO = self.path.open("w", newline="", encoding="utf-8")
        self._rows = csv.writer(self._file)
        columns = [f"iou/{n}" for n in labels.names] + [f"dice/{n}" for n in labels.names]
        self._rows.writerow(["name", "foreground_dice", "mean_iou", *columns])

    def write(self, scores: ImageScores) -> None:
        """Add one image."""
        numbers = [scores.foreground_dice, scores.pixel.mean_iou, *scores.pixel.iou, *scores.pixel.dice]
        self._rows.writerow([scores.name, *(_cell(float(n)) for n in numbers)])

    def __enter__(self) -> "PerImageFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _cell(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6f}"
