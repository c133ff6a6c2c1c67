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
from limner.evaluation.scores_file import (
    ClassRow,
    IntervalRow,
    ReliabilityRow,
    ScoresFile,
    SkippedRow,
    SpreadRow,
    ThresholdsRow,
)
from limner.evaluation.semantic import ImageScores, SemanticScores, foreground_index
from limner.formats.whole_files import write_json
from limner.metrics.spread import Interval, Spread
from limner.metrics.thresholds import ThresholdScores

SCORES, PER_IMAGE, PICTURES = "scores.json", "per_image.csv", "pictures"
THRESHOLDS, SPEED = "thresholds.csv", "speed.json"

_SCORE_COLUMNS, _PIXEL_COLUMNS = ("iou", "dice"), ("right", "false_positives", "false_negatives")


@dataclass(frozen=True)
class Skipped:
    """An image that could not be scored, and why."""

    name: str
    reason: str


def scores_dict(scores: SemanticScores, *, split: str, skipped: Sequence[Skipped] = ()) -> dict[str, Any]:
    """Return scores as JSON-ready values; what does not exist is None, since JSON has no NaN."""
    pixel = scores.pixel
    return ScoresFile(
        split=split,
        num_images=scores.num_images,
        classes=[_class_row(scores, index) for index in range(scores.labels.num_classes)],
        mean_iou=_number(pixel.mean_iou),
        mean_dice=_number(pixel.mean_dice),
        foreground_dice=_number(scores.foreground_dice),
        pixel_accuracy=_number(pixel.pixel_accuracy),
        frequency_weighted_iou=_number(pixel.frequency_weighted_iou),
        mean_boundary_iou=None if scores.boundary is None else _number(scores.boundary.mean_iou),
        mean_boundary_f1=None if scores.boundary is None else _number(scores.boundary.mean_f1),
        num_absent_classes=pixel.num_absent,
        intervals={name: _interval(ends) for name, ends in scores.intervals.items()},
        per_image={name: _spread_row(spread) for name, spread in scores.per_image.items()},
        thresholds=None if scores.thresholds is None else _thresholds_row(scores.labels, scores.thresholds),
        confusion_matrix=scores.confusion.tolist(),
        definitions=DEFINITIONS,
        skipped=[SkippedRow(name=s.name, reason=s.reason) for s in skipped],
    ).model_dump(mode="json")


def _class_row(scores: SemanticScores, index: int) -> ClassRow:
    pixel, boundary = scores.pixel, scores.boundary
    return ClassRow(
        name=scores.labels.names[index],
        iou=_number(pixel.iou[index]),
        dice=_number(pixel.dice[index]),
        precision=_number(pixel.precision[index]),
        recall=_number(pixel.recall[index]),
        boundary_iou=None if boundary is None else _number(boundary.iou[index]),
        boundary_f1=None if boundary is None else _number(boundary.f1[index]),
        pixels=int(pixel.pixels[index]),
        predicted_pixels=int(pixel.predicted_pixels[index]),
        false_positives=int(pixel.false_positives[index]),
        false_negatives=int(pixel.false_negatives[index]),
    )


def _spread_row(spread: Spread) -> SpreadRow:
    return SpreadRow(
        num_images=spread.num_images,
        mean=_number(spread.mean),
        median=_number(spread.median),
        percentile_5=_number(spread.percentile_5),
        intervals={name: _interval(ends) for name, ends in spread.intervals.items()},
    )


def _thresholds_row(labels: LabelTable, found: ThresholdScores) -> ThresholdsRow:
    threshold, dice = found.best
    return ThresholdsRow(
        class_name=labels.names[foreground_index(labels)],
        average_precision=_number(found.average_precision),
        area_under_roc=_number(found.area_under_roc),
        calibration_error=_number(found.calibration_error),
        best_threshold=_number(threshold),
        best_dice=_number(dice),
        reliability=[
            ReliabilityRow(probability=sure, fraction=true, pixels=int(pixels))
            for sure, true, pixels in found.reliability.tolist()
        ],
    )


def write_scores(
    folder: Path, scores: SemanticScores, *, split: str, skipped: Sequence[Skipped] = ()
) -> Path:
    """Write `scores.json` into a folder, whole or not at all, and return its path.

    The curves of every threshold go to `thresholds.csv` beside it, where there are any.
    """
    path = folder / SCORES
    (folder / THRESHOLDS).unlink(missing_ok=True)
    if scores.thresholds is not None:
        _write_thresholds(folder / THRESHOLDS, scores.thresholds)
    write_json(path, scores_dict(scores, split=split, skipped=skipped))
    return path


def _write_thresholds(path: Path, found: ThresholdScores) -> None:
    columns = ("thresholds", "precision", "recall", "false_positive_rate", "dice")
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["threshold", *columns[1:]])
        for values in zip(*(getattr(found, name) for name in columns), strict=True):
            rows.writerow(_cell(float(value)) for value in values)


def write_speed(folder: Path, seconds: Sequence[float], *, device: str, peak_bytes: int | None) -> None:
    """Write `speed.json`: how long images took to predict, and the most memory that was held.

    Args:
        folder: Where.
        seconds: Of each image that is counted.
        device: What predicted.
        peak_bytes: Of the device, or of the process on a processor; None where it is not known.
    """
    if not seconds:
        return
    ordered = sorted(seconds)
    values = {
        "num_images": len(ordered),
        "median_seconds": ordered[len(ordered) // 2],
        "percentile_95_seconds": ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))],
        "images_per_second": len(ordered) / sum(ordered),
        "device": device,
        "peak_bytes": peak_bytes,
    }
    write_json(folder / SPEED, values)


class PerImageFile:
    """Writes `per_image.csv`: name, foreground_dice, mean_iou, then scores and pixels of each class.

    The pixels (right, falsely predicted, missed) let anybody pool images anew. A cell is empty where there
    is no score. Rows are written as images come, so memory does not grow.

    Args:
        folder: Where; it exists.
        labels: The classes.
        boundaries: Whether boundary scores follow.
    """

    def __init__(self, folder: Path, labels: LabelTable, *, boundaries: bool = False) -> None:
        self.path = folder / PER_IMAGE
        self._file: TextIO = self.path.open("w", newline="", encoding="utf-8")
        self._rows = csv.writer(self._file)
        heads = [f"{kind}/{name}" for kind in (*_SCORE_COLUMNS, *_PIXEL_COLUMNS) for name in labels.names]
        self._boundaries = boundaries
        if boundaries:
            heads += [f"{kind}/{name}" for kind in ("boundary_iou", "boundary_f1") for name in labels.names]
        self._rows.writerow(["name", "foreground_dice", "mean_iou", *heads])

    def write(self, scores: ImageScores) -> None:
        """Add one image."""
        pixel, boundary = scores.pixel, scores.boundary
        numbers = [scores.foreground_dice, pixel.mean_iou, *pixel.iou, *pixel.dice]
        pixels = [*pixel.true_positives, *pixel.false_positives, *pixel.false_negatives]
        outlines = [*boundary.iou, *boundary.f1] if self._boundaries and boundary is not None else []
        cells = [_cell(float(n)) for n in numbers] + [str(int(n)) for n in pixels]
        self._rows.writerow([scores.name, *cells, *(_cell(float(n)) for n in outlines)])

    def __enter__(self) -> "PerImageFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _interval(ends: Interval) -> IntervalRow:
    return _number(ends[0]), _number(ends[1])


def _cell(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6f}"
