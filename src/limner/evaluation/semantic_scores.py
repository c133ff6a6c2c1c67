"""The scores of label maps: of one image, and of a whole dataset.

Shape legend: K classes.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from limner.core.errors import ConfigError
from limner.core.labels import LabelTable
from limner.evaluation.scores_file import by_class_name, class_rows, some_names
from limner.metrics.boundary import ROWS, BoundaryScores, boundary_scores
from limner.metrics.confusion import Counts, PixelScores
from limner.metrics.spread import Interval, Spread
from limner.metrics.thresholds import ThresholdScores


@dataclass(frozen=True)
class SemanticImageScores:
    """The scores of one image.

    Attributes:
        name: The record's name.
        pixel: Pixel scores of the image; NaN for classes in neither truth nor prediction.
        foreground_dice: Dice pooled over all classes but the background; NaN if none of them occurs, None if
            no class is the background.
        boundary: Boundary scores of the image, if requested.
    """

    name: str
    pixel: PixelScores
    foreground_dice: float | None
    boundary: BoundaryScores | None = None

    @property
    def rank(self) -> float:
        """The score that images are ordered by."""
        return self.pixel.mean_iou if self.foreground_dice is None else self.foreground_dice

    @property
    def numbers(self) -> tuple[float, ...]:
        """One number per column; numbers of pixels are integers."""
        pixel, boundary = self.pixel, self.boundary
        foreground = () if self.foreground_dice is None else (self.foreground_dice,)
        scores = (*foreground, pixel.mean_iou, *map(float, pixel.iou), *map(float, pixel.dice))
        kinds = (pixel.true_positives, pixel.false_positives, pixel.false_negatives)
        outlines = () if boundary is None else (*map(float, boundary.iou), *map(float, boundary.f1))
        return *scores, *(int(count) for kind in kinds for count in kind), *outlines


@dataclass(frozen=True)
class SemanticScores:
    """The scores of a whole dataset, computed from one pooled confusion matrix.

    Attributes:
        labels: The classes, in the order of every (K) array.
        num_images: Number of scored images.
        confusion: (K, K) int64, rows truth and columns prediction.
        pixel: Pixel scores of the pooled matrix.
        foreground_dice: Dice pooled over the dataset and over all classes but `background`; None without it.
        boundary: Boundary scores of the pooled counts, if requested.
        thresholds: Scores at every threshold, if requested.
        intervals: Score name, as in `items`, -> its 95 % bootstrap interval over images.
        per_image: Score name -> its distribution over the images.
    """

    labels: LabelTable
    num_images: int
    confusion: Counts
    pixel: PixelScores
    foreground_dice: float | None
    boundary: BoundaryScores | None = None
    thresholds: ThresholdScores | None = None
    intervals: dict[str, Interval] = field(default_factory=dict)
    per_image: dict[str, Spread] = field(default_factory=dict)

    def items(self) -> Iterator[tuple[str, float]]:
        """Yield score name -> value, as validation logs them."""
        yield from named_scores(self.labels, self.pixel, self.boundary).items()

    def to_dict(self) -> dict[str, Any]:
        """Return the content of scores.json, without the split."""
        pixel = self.pixel
        outlines = self.boundary or boundary_scores(np.zeros((len(ROWS), self.labels.num_classes), np.int64))
        counts = {
            "pixels": pixel.pixels,
            "predicted_pixels": pixel.predicted_pixels,
            "false_positives": pixel.false_positives,
            "false_negatives": pixel.false_negatives,
        }
        return {
            "task": "semantic",
            "num_images": self.num_images,
            "classes": class_rows(self.labels.names, pixel.by_class() | outlines.by_class() | counts),
            **pixel.overall(self.labels.background_index),
            **outlines.overall(),
            "num_absent_classes": pixel.num_absent,
            "notes": list(self._notes()),
            "intervals": self.intervals,
            "per_image": {name: asdict(spread) for name, spread in self.per_image.items()},
            "thresholds": None if self.thresholds is None else _thresholds_row(self.labels, self.thresholds),
            "confusion_matrix": self.confusion.tolist(),
        }

    def _notes(self) -> Iterator[str]:
        """Yield what makes scores undefined or misleading on these images."""
        names, pixel = self.labels.names, self.pixel
        if len(names) == 1:
            yield f"There is one class, {names[0]}, so no pixel can be wrong: a label map has no score."
        elif not pixel.pixels.any():
            yield "Every pixel of the truth is ignored, so there is no score."
        elif self.foreground_dice is not None and math.isnan(self.foreground_dice):
            yield (
                "Neither truth nor prediction has foreground: the foreground Dice is undefined, and the "
                "other scores are about the background only."
            )
        extra = [names[i] for i in np.flatnonzero((pixel.pixels == 0) & (pixel.predicted_pixels > 0))]
        if extra and len(names) > 1:
            yield f"Predicted, but not in the truth: {some_names(extra)}. An IoU of 0 there lowers the means."
        if self.thresholds is not None and math.isnan(self.thresholds.area_under_roc):
            wanted = names[foreground_index(self.labels)]
            yield (
                f"The truth has only one of the two classes, so that scores over all thresholds of {wanted} "
                "are undefined."
            )


def named_scores(
    labels: LabelTable, pixel: PixelScores, boundary: BoundaryScores | None = None
) -> dict[str, float]:
    """Return score name -> value: scores over all classes, then ``iou/CLASS`` etc."""
    overall, by_class = pixel.overall(labels.background_index), pixel.by_class()
    if boundary is not None:
        overall |= boundary.overall()
        by_class |= boundary.by_class()
    return overall | by_class_name(labels.names, by_class)


def foreground_index(labels: LabelTable) -> int:
    """Return the foreground class of two: the one that is not the background, or else the second.

    Raises:
        ConfigError: There are not two classes.
    """
    if labels.num_classes != 2:
        raise ConfigError(
            f"Thresholds are for two classes, such as background and polyp; this model has "
            f"{labels.num_classes}: {', '.join(labels.names)}. Omit --thresholds."
        )
    return 0 if labels.background_index == 1 else 1


def _thresholds_row(labels: LabelTable, found: ThresholdScores) -> dict[str, Any]:
    threshold, dice = found.best
    return {
        "class_name": labels.names[foreground_index(labels)],
        "average_precision": found.average_precision,
        "area_under_roc": found.area_under_roc,
        "calibration_error": found.calibration_error,
        "best_threshold": threshold,
        "best_dice": dice,
        "reliability": [
            {"probability": probability, "fraction": fraction, "pixels": int(pixels)}
            for probability, fraction, pixels in found.reliability.tolist()
        ],
    }
