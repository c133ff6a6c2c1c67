"""Writing scores: `scores.json` for the whole split, and `per_image.csv`, row by row during evaluation."""

import csv
import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from limner.core.printable import printable
from limner.core.score_names import NOTES, SCORES, explained
from limner.evaluation.image_class_scores import ClassScores
from limner.evaluation.scorer import ImageScores, Scores
from limner.evaluation.scores_file import ScoresFile
from limner.evaluation.semantic_scores import SemanticScores
from limner.evaluation.tag_scores import TagScores
from limner.metrics.thresholds import ThresholdScores
from limner.storage.json_files import write_json
from limner.storage.table_cells import cell
from limner.storage.whole_files import GrowingFile, remove_file

SCORES_FILE, PER_IMAGE, PER_CASE, PICTURES = "scores.json", "per_image.csv", "per_case.csv", "pictures"
THRESHOLDS, CLASS_CURVES, SPEED = "thresholds.csv", "class_curves.csv", "speed.json"

MOST_POINTS, ALL_POINTS = 200, 20_000
"""Maximum number of points of the curve of a class, and of those of all classes."""


@dataclass(frozen=True)
class Skipped:
    """An image that could not be scored, and why."""

    name: str
    reason: str


def scores_dict(
    scores: Scores,
    *,
    split: str,
    skipped: Sequence[Skipped] = (),
    value_range: tuple[float, float] | None = None,
    remarks: Sequence[str] = (),
) -> dict[str, Any]:
    """Return scores as JSON-ready values; undefined ones are None, since JSON has no NaN."""
    own = scores.to_dict()
    head = {"version": 2, "task": own["task"], "split": split, "value_range": value_range}
    notes = [*remarks, *own.get("notes", ())]
    values: dict[str, Any] = _without_nan(head | own | {"notes": notes})
    file = ScoresFile.model_validate(values)
    named = file.names()
    assert named <= SCORES.keys(), f"{named - SCORES.keys()} are not in core/score_names.py"
    explain = {*named, *(NOTES.keys() & values.keys()), "absent"}
    definitions = explained(explain, of_voxels=file.of_voxels)
    return values | {"definitions": definitions, "skipped": [asdict(image) for image in skipped]}


def _without_nan(value: object) -> Any:  # noqa: ANN401 - as nested as what comes in
    if isinstance(value, Mapping):
        return {name: _without_nan(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        if set(map(type, value)) == {int}:  # rows of a confusion matrix, which may hold a million numbers
            return list(value)
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def write_scores(
    folder: Path,
    scores: Scores,
    *,
    split: str,
    skipped: Sequence[Skipped] = (),
    value_range: tuple[float, float] | None = None,
    remarks: Sequence[str] = (),
) -> Path:
    """Write `scores.json` to a folder atomically, and return its path.

    Threshold curves, if any, are written to `thresholds.csv` in the same folder, those of classes of whole
    images to `class_curves.csv`, and scores of volumes whose slices are images to `per_case.csv`.

    Args:
        folder: Output folder.
        scores: The scores.
        split: Name of the split.
        skipped: Images that could not be scored.
        value_range: The images' range of values if one was stated to map it to the training's.
        remarks: What a reader of the scores should know, to put before the notes of the scores.
    """
    path = folder / SCORES_FILE
    remove_file(folder / THRESHOLDS)
    if isinstance(scores, SemanticScores) and scores.thresholds is not None:
        _write_thresholds(folder / THRESHOLDS, scores.thresholds)
    remove_file(folder / PER_CASE)
    if isinstance(scores, SemanticScores) and scores.slices is not None:
        with GrowingFile(folder / PER_CASE) as file:
            csv.writer(file).writerows(map(_cell, row) for row in scores.slices.rows(scores.labels))
    remove_file(folder / CLASS_CURVES)
    if isinstance(scores, ClassScores | TagScores):
        _write_class_curves(folder / CLASS_CURVES, scores)
    values = scores_dict(scores, split=split, skipped=skipped, value_range=value_range, remarks=remarks)
    write_json(path, values)
    return path


def _write_thresholds(path: Path, found: ThresholdScores) -> None:
    columns = ("thresholds", "precision", "recall", "false_positive_rate", "dice")
    with GrowingFile(path) as file:
        rows = csv.writer(file)
        rows.writerow(["threshold", *columns[1:]])
        for values in zip(*(getattr(found, name) for name in columns), strict=True):
            rows.writerow(_cell(float(value)) for value in values)


def _write_class_curves(path: Path, scores: ClassScores | TagScores) -> None:
    """Write points of the curve of each class, fewer if there are many classes."""
    most = max(min(MOST_POINTS, ALL_POINTS // max(len(scores.curves), 1)), 10)
    with GrowingFile(path) as file:
        rows = csv.writer(file)
        rows.writerow(["class", "threshold", "precision", "recall", "false_positive_rate"])
        for name, curve in zip(scores.labels.names, scores.curves, strict=False):
            places = np.unique(np.linspace(0, len(curve.thresholds) - 1, most).round().astype(int))
            columns = (curve.thresholds, curve.precision, curve.recall, curve.false_positive_rate)
            for values in zip(*(column[places].tolist() for column in columns), strict=True):
                rows.writerow([cell(printable(name)), *map(_cell, values)])


def write_speed(folder: Path, seconds: Sequence[float], *, device: str, peak_bytes: int | None) -> None:
    """Write `speed.json`: prediction times, and peak memory.

    Args:
        folder: Output folder.
        seconds: Prediction time of each timed image.
        device: Device of the prediction.
        peak_bytes: Peak memory of the device, or of the process on a CPU; None if unknown.
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


class PerImageFile(ExitStack):
    """Writes `per_image.csv`: the name, then one number per column.

    Cells without a score are empty. Rows are written immediately, so memory does not grow.

    Args:
        folder: The folder to write to.
        columns: Names of the values, from a scorer.
    """

    def __init__(self, folder: Path, columns: Sequence[str]) -> None:
        super().__init__()
        self.path = folder / PER_IMAGE
        self._rows = csv.writer(self.enter_context(GrowingFile(self.path)))
        self._rows.writerow(["name", *map(cell, columns)])

    def write(self, scores: ImageScores) -> None:
        """Add one image."""
        self._rows.writerow([cell(printable(scores.name)), *(_cell(n) for n in scores.numbers)])


def _cell(value: float | str) -> str:
    """Format a number; counts are written as integers, names as they are."""
    if isinstance(value, str):
        return cell(printable(value))
    return str(value) if isinstance(value, int) else "" if math.isnan(value) else f"{value:.6f}"
