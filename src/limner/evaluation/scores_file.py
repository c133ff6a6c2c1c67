"""The shape of scores.json, whatever was scored: evaluation writes it, reports and the terminal read it."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from limner.core.config import Config
from limner.core.config_problems import problem
from limner.core.errors import DataError, describe
from limner.core.score_names import SCORES


def _null_for_nan(value: object) -> object:
    return None if isinstance(value, float) and math.isnan(value) else value


Number = Annotated[int | float | None, BeforeValidator(_null_for_nan)]
"""A score or a count; null where it is not defined, since JSON has no NaN."""

Ends = tuple[Number, Number]
"""Lowest and highest end of a 95 % interval."""


class SpreadRow(Config):
    """How one score spreads over the images that have it."""

    num_images: int
    """Images that have the score."""
    mean: Number
    """Mean over the images."""
    median: Number
    """Half of the images are above."""
    percentile_5: Number
    """One image in twenty is below."""
    intervals: dict[str, Ends] = {}
    """Of the three, their 95 % bootstrap intervals; of scores over all classes, from 5 images on."""


class NamedScores(Config):
    """Beside the keys named here, each key is the name of a score or count; `definitions` explains them."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Number]

    @property
    def scores(self) -> dict[str, float | None]:
        """Name -> score or count."""
        return self.__pydantic_extra__


class ClassRow(NamedScores):
    """The scores and counts of one class, over all images at once."""

    name: str
    """The class."""
    is_thing: bool | None = None
    """Of panoptic segments: countable objects, rather than stuff."""


class ReliabilityRow(Config):
    """Pixels of similar probability: how often it came true."""

    probability: float
    """Mean probability of the class."""
    fraction: float
    """Fraction of these pixels that are the class."""
    pixels: int
    """How many."""


class ThresholdsRow(NamedScores):
    """One class against the other; the whole curves are in thresholds.csv."""

    class_name: str
    """The class whose probability is looked at."""
    reliability: list[ReliabilityRow]
    """The reliability diagram; empty bins are left out."""


class MatchRow(Config):
    """Segments matched from one IoU on."""

    iou: float
    """From which a found segment is the true one."""
    f1: Number
    """Twice the pairs over the found and the true ones."""
    precision: Number
    """Pairs over the found ones."""
    recall: Number
    """Pairs over the true ones."""


class MatchedIoURow(Config):
    """One bar of the histogram of the pairs that are matched at 0.5."""

    low: float
    """IoU at which the range begins."""
    high: float
    """Where the next begins; the last range holds 1."""
    pairs: int
    """How many."""


class SkippedRow(Config):
    """An image that could not be scored."""

    name: str
    """Its name."""
    reason: str
    """Why."""


class ScoresFile(NamedScores):
    """scores.json: the scores over all classes, those of each class, and what they were counted from."""

    version: Literal[2] = 2
    """Of this file's shape."""
    task: str
    """What was predicted."""
    split: str
    """Which images."""
    num_images: int
    """How many were scored."""
    classes: list[ClassRow]
    """In trained order."""
    num_absent_classes: int | None = None
    """Of label maps: classes in neither truth nor prediction, which no mean counts."""
    f1_by_iou: list[MatchRow] = []
    """Of objects and segments: how they match at each IoU from 0.50 to 0.95."""
    matched_iou: list[MatchedIoURow] = []
    """Of objects and segments: histogram of the IoU of the matched pairs."""
    intervals: dict[str, Ends] = {}
    """Score name (of a class: `iou/NAME`) -> 95 % bootstrap interval; from 5 images on."""
    per_image: dict[str, SpreadRow] = {}
    """Score name -> its spread over the images, each scored alone."""
    thresholds: ThresholdsRow | None = None
    """Null unless evaluated with thresholds."""
    confusion_matrix: list[list[int]] | None = Field(None, min_length=1)
    """Of label maps: pixels, rows truth and columns prediction."""
    definitions: dict[str, str] = {}
    """Score name -> what it means, and when it misleads."""
    skipped: list[SkippedRow] = []
    """Images that could not be scored."""

    @model_validator(mode="after")
    def _check_matrix(self) -> "ScoresFile":
        size = len(self.classes)
        if self.confusion_matrix is not None and [len(r) for r in self.confusion_matrix] != [size] * size:
            raise ValueError(f"confusion_matrix is not {size} by {size}, one row per class")
        return self

    @property
    def counts_pixels(self) -> bool:
        """Whether label maps were scored, rather than objects or segments."""
        return any("pixels" in row.scores for row in self.classes)

    @property
    def class_columns(self) -> list[str]:
        """The scores and counts to show of each class, in the order of `SCORES`.

        Of label maps only pixels are counted there: the false ones follow from those and the scores.
        """
        found = {name for row in self.classes for name, value in row.scores.items() if value is not None}
        hidden = "segments" if self.counts_pixels else None
        return [name for name, row in SCORES.items() if name in found and row.by_class and row.unit != hidden]

    def names(self, *, measured: bool = False) -> set[str]:
        """Return the names of all scores and counts in the file, or of those that have a value somewhere."""
        parts: list[NamedScores] = [self, *self.classes, *([self.thresholds] if self.thresholds else [])]
        return {
            name for part in parts for name, value in part.scores.items() if not measured or value is not None
        }

    def interval(self, name: str) -> tuple[float, float] | None:
        """Return the 95 % interval of a score, or None where it has none."""
        return complete(self.intervals.get(name))


def complete(ends: Ends | None) -> tuple[float, float] | None:
    """Return an interval of which both ends exist, or None."""
    if ends is None or ends[0] is None or ends[1] is None:
        return None
    return ends[0], ends[1]


def class_rows(names: Sequence[str], columns: Mapping[str, npt.NDArray[Any]]) -> list[dict[str, Any]]:
    """Return the rows of the classes.

    Args:
        names: Of the classes.
        columns: Name -> (K) scores or counts.
    """
    return [
        {"name": name} | {column: np.asarray(values)[i].item() for column, values in columns.items()}
        for i, name in enumerate(names)
    ]


def by_class_name(names: Sequence[str], columns: Mapping[str, npt.NDArray[Any]]) -> dict[str, float]:
    """Return (K) scores as ``iou/CLASS`` -> value."""
    return {
        f"{column}/{name}": float(values[i])
        for column, values in columns.items()
        for i, name in enumerate(names)
    }


def read_scores(path: Path) -> ScoresFile:
    """Read scores.json, of today or of an earlier version.

    Raises:
        DataError: It does not have the shape of scores.json.
    """
    try:
        return ScoresFile.model_validate({"split": path.parent.name} | json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError) as error:
        problems = error.errors(include_url=False) if isinstance(error, ValidationError) else []
        found = "; ".join(problem(ScoresFile, detail) for detail in problems) or str(error)
        raise DataError(describe("Not the scores of an evaluation", where=path.name, found=found)) from None


def scores_schema() -> dict[str, Any]:
    """Return the JSON schema of scores.json, whatever its task."""
    return ScoresFile.model_json_schema()
