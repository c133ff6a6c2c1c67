"""Format of scores.json for all tasks: evaluation writes it, reports and the terminal read it."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from limner.core.config import Config
from limner.core.config_problems import problem
from limner.core.errors import DataError, describe
from limner.core.labels import background_among
from limner.core.score_names import LENGTH, SCORES, VOLUME, Score
from limner.core.wording import element, first_few

NOTHING = "nothing"
"""Name of what is not an object, as a row or column of confused objects."""

MOST_LISTED = 8
"""Maximum number of classes that a sentence names."""


def _null_for_nan(value: object) -> object:
    return None if isinstance(value, float) and math.isnan(value) else value


Number = Annotated[int | float | None, BeforeValidator(_null_for_nan)]
"""A score or a count; null if undefined, since JSON has no NaN."""

Ends = tuple[Number, Number]
"""Lower and upper end of a 95 % interval."""


class SpreadRow(Config):
    """Distribution of one score over the images that have it."""

    num_images: int
    """Number of images that have the score."""
    mean: Number
    """Mean over the images."""
    median: Number
    """Median over the images."""
    percentile_5: Number
    """5th percentile over the images."""
    intervals: dict[str, Ends] = {}
    """95 % bootstrap intervals of the three; only for scores over all classes, and at least 5 images."""


class NamedScores(Config):
    """Additional keys are names of scores or counts, which `definitions` explains."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Number]

    @property
    def scores(self) -> dict[str, float | None]:
        """Name -> score or count."""
        return self.__pydantic_extra__


class ClassRow(NamedScores):
    """The scores and counts of one class, over all images at once."""

    name: str
    """Name of the class."""
    is_thing: bool | None = None
    """For panoptic segments: whether the class is countable, rather than stuff."""


class ReliabilityRow(Config):
    """Reliability of pixels with similar probability."""

    probability: float
    """Mean probability of the class."""
    fraction: float
    """Fraction of these pixels that are the class."""
    pixels: int
    """Number of pixels."""


class ThresholdsRow(NamedScores):
    """One class against the other; the full curves are in thresholds.csv."""

    class_name: str
    """The class whose probability is evaluated."""
    reliability: list[ReliabilityRow]
    """The reliability diagram, without empty bins."""


class ConfidenceRow(Config):
    """Reliability of classes of whole images with similar confidence."""

    confidence: float
    """Mean probability of the predicted class."""
    accuracy: float
    """Fraction of these images that are right."""
    images: int
    """Number of images."""


class MatchRow(Config):
    """Scores of segments matched at one IoU threshold."""

    iou: float
    """IoU from which a predicted segment matches a true one."""
    f1: Number
    """Twice the matches over the sum of predicted and true segments."""
    precision: Number
    """Matches over predicted segments."""
    recall: Number
    """Matches over true segments."""


class MatchedIoURow(Config):
    """One bar of the IoU histogram of the pairs matched at 0.5."""

    low: float
    """Lower end of the range."""
    high: float
    """Upper end of the range, exclusive; the last range includes 1."""
    pairs: int
    """Number of pairs."""


class FrocRow(Config):
    """One point of the FROC curve."""

    false_positives: float
    """Tolerated number of false objects per image."""
    sensitivity: Number
    """Fraction of the true objects that are found then."""


class SkippedRow(Config):
    """An image that could not be scored."""

    name: str
    """Name of the image."""
    reason: str
    """Why it was skipped."""


@dataclass(frozen=True)
class Confusions:
    """A confusion matrix with the names of its rows.

    Attributes:
        counts: Rows truth and columns prediction.
        names: Name of each row and column.
        unit: What is counted, ``pixel``, ``voxel``, ``image`` or ``object``.
    """

    counts: list[list[int]]
    names: list[str]
    unit: str


class ScoresFile(NamedScores):
    """scores.json: the scores over all classes, those of each class, and their counts."""

    version: Literal[2] = 2
    """Version of the file format."""
    task: str
    """Name of the task."""
    split: str
    """Name of the split."""
    num_images: int
    """Number of scored images."""
    spatial_dims: int | None = None
    """For label maps: 2 for images, 3 for volumes."""
    length_unit: str | None = None
    """Unit of distances between surfaces: ``mm``, or ``pixels`` or ``voxels`` if the spacing is unknown."""
    surface_tolerance: float | None = None
    """Stated tolerance of the surface Dice; null is the largest spacing of each case."""
    classes: list[ClassRow]
    """In trained order."""
    num_absent_classes: int | None = None
    """For label maps and images: number of classes in neither truth nor prediction, which means exclude."""
    f1_by_iou: list[MatchRow] = []
    """For objects and segments: match scores at each IoU from 0.50 to 0.95."""
    matched_iou: list[MatchedIoURow] = []
    """For objects and segments: histogram of the IoU of the matched pairs."""
    froc_curve: list[FrocRow] = []
    """For boxes: fraction of objects found, for tolerated numbers of false ones per image."""
    object_confusion: list[list[int]] | None = Field(None, min_length=2)
    """For boxes with a score of 0.5 or more: numbers of objects, rows truth and columns prediction; the last
    row is what is not in the truth, the last column what was not found."""
    intervals: dict[str, Ends] = {}
    """Score name (`iou/NAME` for a class) -> 95 % bootstrap interval; needs at least 5 images."""
    per_image: dict[str, SpreadRow] = {}
    """Score name -> its distribution over the images, each scored separately."""
    thresholds: ThresholdsRow | None = None
    """Null unless evaluated with thresholds."""
    calibration: list[ConfidenceRow] = []
    """For classes of whole images: the reliability diagram, without empty bins."""
    confusion_matrix: list[list[int]] | None = Field(None, min_length=1)
    """Numbers of pixels or images, rows truth and columns prediction."""
    definitions: dict[str, str] = {}
    """Score name -> its meaning, and when it is misleading."""
    value_range: tuple[float, float] | None = None
    """Stated range of the images' values, which was mapped to the training's; null if none was stated."""
    notes: list[str] = []
    """Why scores are undefined or misleading on these images, in sentences; empty if they are not."""
    skipped: list[SkippedRow] = []
    """Images that could not be scored."""

    @model_validator(mode="after")
    def _check_matrix(self) -> "ScoresFile":
        sizes = {"confusion_matrix": len(self.classes), "object_confusion": len(self.classes) + 1}
        for name, size in sizes.items():
            matrix: list[list[int]] | None = getattr(self, name)
            if matrix is not None and [len(row) for row in matrix] != [size] * size:
                raise ValueError(f"{name} is not {size} by {size} for {len(self.classes)} classes")
        return self

    @property
    def confusions(self) -> "Confusions | None":
        """The confusion matrix of pixels, images or objects, or None if there is none."""
        names = self.class_names
        if self.confusion_matrix is not None:
            unit = "image" if self.counts_images else self._element
            return Confusions(self.confusion_matrix, names, unit)
        if self.object_confusion is not None:
            return Confusions(self.object_confusion, [*names, NOTHING], "object")
        return None

    @property
    def class_names(self) -> list[str]:
        """Names of the classes in trained order."""
        return [row.name for row in self.classes]

    @property
    def present_classes(self) -> list[ClassRow]:
        """Rows of the classes that truth or prediction contains."""
        return [row for row in self.classes if any(row.scores.values())]

    @cached_property  # asked for each class
    def counts_pixels(self) -> bool:
        """Whether label maps were scored, rather than objects or segments."""
        return any("pixels" in row.scores for row in self.classes)

    @property
    def of_voxels(self) -> bool:
        """Whether label maps of volumes were scored."""
        return self.spatial_dims == 3

    @property
    def _element(self) -> str:
        return element(self.spatial_dims or 2)

    def score(self, name: str) -> Score:
        """Return the row of a score, in the words of these images."""
        return SCORES[name].of_voxels() if self.of_voxels else SCORES[name]

    def unit(self, name: str) -> str:
        """Return the unit of a score or count on these images; empty for a score from 0 to 1."""
        unit = SCORES[name].unit
        if unit not in (LENGTH, VOLUME):
            return unit.replace("pixel", self._element)
        length = self.length_unit or ""
        is_known = length == "mm" and unit == VOLUME
        return f"{length}{'³' if self.of_voxels else '²'}" if is_known else length

    @cached_property  # asked for each class
    def counts_images(self) -> bool:
        """Whether classes of whole images were scored."""
        return any("images" in row.scores for row in self.classes)

    @property
    def what_counts(self) -> str:
        """What the scores count: pixels, voxels, images, words, objects or segments."""
        if self.counts_pixels:
            return f"{self._element}s"
        if self.counts_images:
            return "images"
        if any("words" in row.scores for row in self.classes):
            return "words"
        return "segments" if any(row.is_thing is not None for row in self.classes) else "objects"

    @property
    def class_columns(self) -> list[str]:
        """The scores and counts to show for each class, in the order of `SCORES`.

        For label maps, only numbers of pixels are included: false ones follow from these and the scores.
        """
        found = {name for row in self.classes for name, value in row.scores.items() if value is not None}
        hidden = "segments" if self.counts_pixels else None
        return [name for name, row in SCORES.items() if name in found and row.by_class and row.unit != hidden]

    def names(self, *, measured: bool = False) -> set[str]:
        """Return the names of all scores and counts in the file; with `measured`, only those with a value."""
        parts: list[NamedScores] = [self, *self.classes, *([self.thresholds] if self.thresholds else [])]
        return {
            name for part in parts for name, value in part.scores.items() if not measured or value is not None
        }

    def interval(self, name: str) -> tuple[float, float] | None:
        """Return the 95 % interval of a score, or None if it has none."""
        return complete(self.intervals.get(name))


def complete(ends: Ends | None) -> tuple[float, float] | None:
    """Return an interval if both ends exist, else None."""
    if ends is None or ends[0] is None or ends[1] is None:
        return None
    return ends[0], ends[1]


def worst_first(rows: Iterable[ClassRow]) -> list[ClassRow]:
    """Return rows of classes of whole images, sorted by their F1; those without one are last."""
    return sorted(rows, key=lambda row: 2.0 if (f1 := row.scores.get("f1_score")) is None else f1)


def class_rows(names: Sequence[str], columns: Mapping[str, npt.NDArray[Any]]) -> list[dict[str, Any]]:
    """Return one row per class.

    Args:
        names: Names of the classes.
        columns: Name -> (K) scores or counts.
    """
    return [
        {"name": name} | {column: np.asarray(values)[i].item() for column, values in columns.items()}
        for i, name in enumerate(names)
    ]


def by_class_name(
    names: Sequence[str], columns: Mapping[str, npt.NDArray[np.float64]]
) -> dict[str, npt.NDArray[np.float64]]:
    """Return (..., K) scores as ``iou/CLASS`` -> (...) values."""
    return {
        f"{column}/{name}": value
        for column, values in columns.items()
        for name, value in zip(names, np.moveaxis(values, -1, 0), strict=True)
    }


def as_floats(values: Mapping[str, npt.NDArray[np.float64]]) -> dict[str, float]:
    """Return scores of a whole dataset or of one image as Python's numbers."""
    return {name: float(value) for name, value in values.items()}


def some_names(names: Sequence[str]) -> str:
    """Return the first names of classes in a sentence, and how many there are more."""
    return first_few(names, MOST_LISTED)


def read_scores(path: Path) -> ScoresFile:
    """Read scores.json, of the current or an earlier version.

    Earlier versions wrote a foreground Dice for classes without a background: the pixel accuracy by another
    name, which is left out.

    Raises:
        DataError: It does not have the format of scores.json.
    """
    try:
        file = ScoresFile.model_validate({"split": path.parent.name} | json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError) as error:
        problems = error.errors(include_url=False) if isinstance(error, ValidationError) else []
        found = "; ".join(problem(ScoresFile, detail) for detail in problems) or str(error)
        raise DataError(describe("Not the scores of an evaluation", where=path.name, found=found)) from None
    if background_among(file.class_names) is None:
        for part in (file.scores, file.intervals, file.per_image):
            part.pop("foreground_dice", None)
    return file


def scores_schema() -> dict[str, Any]:
    """Return the JSON schema of scores.json, for all tasks."""
    return ScoresFile.model_json_schema()
