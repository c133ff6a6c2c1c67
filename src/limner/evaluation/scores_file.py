"""The shape of scores.json: what stands in it, and its JSON schema."""

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, TypeAdapter

from limner.core.config import Config


def _null_for_nan(value: object) -> object:
    return None if isinstance(value, float) and math.isnan(value) else value


Score = Annotated[float | None, BeforeValidator(_null_for_nan)]
"""A number, from 0 to 1 unless said otherwise; null where it is not defined, since JSON has no NaN."""

IntervalRow = tuple[Score, Score]
"""Lowest and highest end of a 95 % interval."""


class SpreadRow(Config):
    """How one score spreads over the images that have it."""

    num_images: int
    """Images that have the score."""
    mean: Score
    """Mean over the images."""
    median: Score
    """Half of the images lie above."""
    percentile_5: Score
    """One image in twenty lies below."""
    intervals: dict[str, IntervalRow] = {}
    """Of the three, their 95 % bootstrap intervals; of scores of the whole, from 5 images on."""


class SemanticClassRow(Config):
    """Label maps: the scores of one class, its pixels pooled over all images."""

    name: str
    """The class."""
    iou: Score
    """See `definitions`, as for each score here."""
    dice: Score
    """F1 of the pixels."""
    precision: Score
    """Right of the predicted."""
    recall: Score
    """Found of the true."""
    boundary_iou: Score = None
    """Null unless evaluated with boundaries."""
    boundary_f1: Score = None
    """Null unless evaluated with boundaries."""
    pixels: int
    """Pixels of the class in the truth."""
    predicted_pixels: int
    """Pixels predicted as the class."""
    false_positives: int
    """Pixels predicted as the class that are not."""
    false_negatives: int
    """Pixels of the class that were missed."""


class ReliabilityRow(Config):
    """Pixels of similar probability: how often it came true."""

    probability: float
    """Mean probability of the class."""
    fraction: float
    """Part of these pixels that is the class."""
    pixels: int
    """How many."""


class ThresholdsRow(Config):
    """One class against the other; the whole curves stand in thresholds.csv."""

    class_name: str
    """The class whose probability is looked at."""
    average_precision: Score
    """Area under the precision-recall curve."""
    area_under_roc: Score
    """Area under the ROC curve."""
    calibration_error: Score
    """Expected calibration error over 15 bins."""
    best_threshold: Score
    """Where the Dice is highest, on these very images."""
    best_dice: Score
    """The Dice there."""
    reliability: list[ReliabilityRow]
    """The reliability diagram; empty bins are left out."""


class SkippedRow(Config):
    """An image that could not be scored."""

    name: str
    """Its name."""
    reason: str
    """Why."""


class SplitScores(Config):
    """What scores.json of every task begins with."""

    version: Literal[2] = 2
    """Of this file's shape."""
    task: str
    """What was predicted."""
    split: str
    """Which images."""
    num_images: int
    """How many were scored."""


class SemanticFile(SplitScores):
    """scores.json of label maps. Every score is from 0 to 1, or null where it is not defined."""

    task: Literal["semantic"]
    """What was predicted."""
    classes: list[SemanticClassRow]
    """In trained order."""
    mean_iou: Score
    """See `definitions`, as for each score here."""
    mean_dice: Score
    """Mean over the classes that occur."""
    foreground_dice: Score
    """All classes but the background, pooled."""
    pixel_accuracy: Score
    """Right pixels."""
    frequency_weighted_iou: Score
    """IoU weighted by true pixels."""
    mean_boundary_iou: Score = None
    """Null unless evaluated with boundaries."""
    mean_boundary_f1: Score = None
    """Null unless evaluated with boundaries."""
    num_absent_classes: int
    """Classes in neither truth nor prediction, which no mean counts."""
    intervals: dict[str, IntervalRow] = {}
    """Score name (of a class: `iou/NAME`) -> 95 % bootstrap interval; from 5 images on."""
    per_image: dict[str, SpreadRow] = {}
    """Score name -> its spread over the images, each scored alone."""
    thresholds: ThresholdsRow | None = None
    """Null unless evaluated with thresholds."""
    confusion_matrix: list[list[int]] = Field(min_length=1)
    """Pixels, rows truth and columns prediction."""
    definitions: dict[str, str]
    """Score name -> what it means, and when it misleads."""
    skipped: list[SkippedRow] = []
    """Images that could not be scored."""


class MatchRow(Config):
    """Segments matched from one IoU on."""

    iou: float
    """From which a found segment is the true one."""
    f1: Score
    """Twice the pairs over the found and the true ones."""
    precision: Score
    """Pairs over the found ones."""
    recall: Score
    """Pairs over the true ones."""


class MatchedIoURow(Config):
    """One bar of the histogram of the pairs that are matched at 0.5."""

    low: float
    """IoU from which the range goes."""
    high: float
    """Where the next begins; the last range holds 1."""
    pairs: int
    """How many."""


class InstanceClassRow(Config):
    """Objects: the scores of one class."""

    name: str
    """The class."""
    ap: Score
    """See `definitions`, as for each score here."""
    ap50: Score
    """At an IoU of 0.5."""
    box_ap: Score
    """Of the boxes."""
    f1: Score
    """Of the surer objects, at an IoU of 0.5."""
    objects: int
    """True objects, crowds left out."""
    found_objects: int
    """Found objects, whatever their score."""


class InstanceFile(SplitScores):
    """scores.json of objects. Scores are from 0 to 1 but for counts, or null where not defined."""

    task: Literal["instance"]
    """What was predicted."""
    classes: list[InstanceClassRow]
    """In trained order."""
    ap: Score
    """Mask AP, over IoU thresholds of 0.50 to 0.95."""
    ap50: Score
    """At an IoU of 0.5."""
    ap75: Score
    """At an IoU of 0.75."""
    ap_small: Score
    """Of objects below 32 x 32 pixels."""
    ap_medium: Score
    """Of objects in between."""
    ap_large: Score
    """Of objects above 96 x 96 pixels."""
    box_ap: Score
    """The same of the boxes."""
    box_ap50: Score
    """The same of the boxes."""
    box_ap75: Score
    """The same of the boxes."""
    box_ap_small: Score
    """The same of the boxes."""
    box_ap_medium: Score
    """The same of the boxes."""
    box_ap_large: Score
    """The same of the boxes."""
    f1: Score
    """Of the surer objects, at an IoU of 0.5."""
    f1_75: Score
    """Of the surer objects, at an IoU of 0.75."""
    precision: Score
    """Of the surer objects, at an IoU of 0.5."""
    recall: Score
    """Of the surer objects, at an IoU of 0.5."""
    count_error: Score
    """Objects too many or too few in an image."""
    count_bias: Score
    """Above 0 where too many are found."""
    f1_by_iou: list[MatchRow] = []
    """The same at each IoU from 0.50 to 0.95."""
    matched_iou: list[MatchedIoURow] = []
    """Histogram of the IoU of the matched pairs."""
    intervals: dict[str, IntervalRow] = {}
    """Score name -> 95 % bootstrap interval; from 5 images on."""
    per_image: dict[str, SpreadRow] = {}
    """Score name -> its spread over the images, each scored alone."""
    definitions: dict[str, str]
    """Score name -> what it means, and when it misleads."""
    skipped: list[SkippedRow] = []
    """Images that could not be scored."""


class PanopticClassRow(Config):
    """Panoptic segments: the scores of one class."""

    name: str
    """The class."""
    is_thing: bool
    """Countable objects, rather than stuff."""
    pq: Score
    """See `definitions`, as for each score here."""
    sq: Score
    """Segmentation quality."""
    rq: Score
    """Recognition quality."""
    true_positives: int
    """Matched segments."""
    false_positives: int
    """Predicted segments without a partner."""
    false_negatives: int
    """True segments without a partner."""


class PanopticFile(SplitScores):
    """scores.json of panoptic segments. Scores are from 0 to 1 but for counts, or null where not defined."""

    task: Literal["panoptic"]
    """What was predicted."""
    classes: list[PanopticClassRow]
    """In trained order."""
    pq: Score
    """Panoptic quality, over all classes."""
    sq: Score
    """Segmentation quality, over all classes."""
    rq: Score
    """Recognition quality, over all classes."""
    pq_things: Score
    """Panoptic quality, over the countable classes."""
    sq_things: Score
    """Segmentation quality, over the countable classes."""
    rq_things: Score
    """Recognition quality, over the countable classes."""
    pq_stuff: Score
    """Panoptic quality, over the classes of stuff."""
    sq_stuff: Score
    """Segmentation quality, over the classes of stuff."""
    rq_stuff: Score
    """Recognition quality, over the classes of stuff."""
    f1_75: Score
    """F1 of the segments at an IoU of 0.75."""
    count_error: Score
    """Objects too many or too few in an image; countable classes."""
    count_bias: Score
    """Above 0 where too many are found."""
    f1_by_iou: list[MatchRow] = []
    """The same at each IoU from 0.50 to 0.95."""
    matched_iou: list[MatchedIoURow] = []
    """Histogram of the IoU of the matched pairs."""
    intervals: dict[str, IntervalRow] = {}
    """Score name -> 95 % bootstrap interval; from 5 images on."""
    per_image: dict[str, SpreadRow] = {}
    """Score name -> its spread over the images, each scored alone."""
    definitions: dict[str, str]
    """Score name -> what it means, and when it misleads."""
    skipped: list[SkippedRow] = []
    """Images that could not be scored."""


_ANY_TASK: TypeAdapter[SplitScores] = TypeAdapter(
    Annotated[SemanticFile | InstanceFile | PanopticFile, Field(discriminator="task")]
)


def scores_file(values: dict[str, Any]) -> SplitScores:
    """Return scores.json as a model of its task, checked."""
    return _ANY_TASK.validate_python(values)


def scores_schema() -> dict[str, Any]:
    """Return the JSON schema of scores.json, whatever its task."""
    return _ANY_TASK.json_schema()
