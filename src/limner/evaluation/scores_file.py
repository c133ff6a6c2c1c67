"""The shape of scores.json: what stands in it, and its JSON schema."""

from typing import Literal

from pydantic import Field

from limner.core.config import Config

Score = float | None
"""From 0 to 1; null where it is not defined."""

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


class ClassRow(Config):
    """The scores of one class, its pixels pooled over all images."""

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


class ScoresFile(Config):
    """scores.json of semantic segmentation. Every score is from 0 to 1, or null where it is not defined."""

    version: Literal[2] = 2
    """Of this file's shape."""
    task: Literal["semantic"] = "semantic"
    """What was predicted."""
    split: str
    """Which images."""
    num_images: int
    """How many were scored."""
    classes: list[ClassRow]
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
