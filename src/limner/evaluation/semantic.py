"""Predictions and truth into scores, one image at a time; memory does not grow with their number.

Shape legend: K classes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from limner.core.errors import ConfigError
from limner.core.labels import LabelTable
from limner.core.prediction import Prediction
from limner.core.sample import LabelMap
from limner.evaluation.uncertainty import Uncertainty
from limner.metrics.boundary import ROWS, BoundaryScores, boundary_scores, count_boundaries
from limner.metrics.confusion import ConfusionMatrix, Counts, PixelScores, pixel_scores, scores_of_sums
from limner.metrics.spread import Interval, Spread
from limner.metrics.thresholds import ThresholdCurves, ThresholdScores


@dataclass(frozen=True)
class ImageScores:
    """The scores of one image.

    Attributes:
        name: The record's name.
        pixel: Scores of this image alone; a class that is in neither its truth nor its prediction is NaN.
        foreground_dice: Dice pooled over all classes but the background; NaN where there is none of them.
        boundary: Boundary scores of this image alone, where they are wanted.
    """

    name: str
    pixel: PixelScores
    foreground_dice: float
    boundary: BoundaryScores | None = None


@dataclass(frozen=True)
class SemanticScores:
    """The scores of a whole dataset, computed from one pooled confusion matrix.

    Attributes:
        labels: The classes, in the order of every (K) array.
        num_images: How many images were counted.
        confusion: (K, K) int64, rows truth and columns prediction.
        pixel: The scores of the pooled matrix.
        foreground_dice: Dice pooled over the dataset and over all classes but `background`.
        boundary: Boundary scores of the pooled counts, where they are wanted.
        thresholds: Scores at every threshold, where they are wanted.
        intervals: Score name, as in `items`, -> its 95 % bootstrap interval over images.
        per_image: Score name -> how it spreads over the images.
    """

    labels: LabelTable
    num_images: int
    confusion: Counts
    pixel: PixelScores
    foreground_dice: float
    boundary: BoundaryScores | None = None
    thresholds: ThresholdScores | None = None
    intervals: dict[str, Interval] = field(default_factory=dict)
    per_image: dict[str, Spread] = field(default_factory=dict)

    def items(self) -> Iterator[tuple[str, float]]:
        """Yield score name -> value, as validation logs them."""
        return named_scores(self.labels, self.pixel, self.boundary)


def named_scores(
    labels: LabelTable, pixel: PixelScores, boundary: BoundaryScores | None = None
) -> Iterator[tuple[str, float]]:
    """Yield score name -> value: those of the whole, then ``iou/CLASS`` and the like."""
    yield "mean_iou", pixel.mean_iou
    yield "mean_dice", pixel.mean_dice
    yield "foreground_dice", pixel.pooled_dice(labels.background_index)
    yield "pixel_accuracy", pixel.pixel_accuracy
    yield "frequency_weighted_iou", pixel.frequency_weighted_iou
    by_class = {"iou": pixel.iou, "dice": pixel.dice, "precision": pixel.precision, "recall": pixel.recall}
    if boundary is not None:
        yield "mean_boundary_iou", boundary.mean_iou
        yield "mean_boundary_f1", boundary.mean_f1
        by_class |= {"boundary_iou": boundary.iou, "boundary_f1": boundary.f1}
    for score, values in by_class.items():
        for index, name in enumerate(labels.names):
            yield f"{score}/{name}", float(values[index])


class SemanticScorer:
    """Adds up predictions against truth.

    Args:
        labels: The classes.
        boundaries: Also compare outlines, which takes about forty times as long as counting pixels.
        thresholds: Also count the foreground at every threshold; needs probabilities and two classes.
        uncertainty: Also say how scores spread over the images and how far chance may move them.
    """

    def __init__(
        self,
        labels: LabelTable,
        *,
        boundaries: bool = False,
        thresholds: bool = False,
        uncertainty: bool = False,
    ) -> None:
        self.labels = labels
        self.num_images = 0
        self._confusion = ConfusionMatrix(labels.num_classes)
        rows = 3 + (len(ROWS) if boundaries else 0)
        self._sums: Counts = np.zeros((rows, labels.num_classes), np.int64)
        self._boundaries = boundaries
        self._thresholds = ThresholdCurves() if thresholds else None
        self._uncertainty = (
            Uncertainty(self._named, shape=(rows, labels.num_classes)) if uncertainty else None
        )

    def update(self, prediction: Prediction, truth: LabelMap) -> ImageScores:
        """Count one image and return its own scores.

        Args:
            prediction: At the image's original size.
            truth: (*spatial) uint8 trained labels with `IGNORE_INDEX`, of the same size.
        """
        counts = self._confusion.update(truth, prediction.semantic)
        sums = np.stack([np.diag(counts), counts.sum(1), counts.sum(0)])
        boundary = None
        if self._boundaries:
            outlines = count_boundaries(truth, prediction.semantic, self.labels.num_classes)
            sums, boundary = np.concatenate([sums, outlines]), boundary_scores(outlines)
        self._sums += sums
        self.num_images += 1
        if self._thresholds is not None:
            assert prediction.probabilities is not None, "thresholds need probabilities"
            index = foreground_index(self.labels)
            self._thresholds.update(prediction.probabilities[index], truth, index=index)
        if self._uncertainty is not None:
            self._uncertainty.update(prediction.name, sums)
        scores = pixel_scores(counts)
        dice = scores.pooled_dice(self.labels.background_index)
        return ImageScores(prediction.name, scores, dice, boundary)

    def merge(self, other: "SemanticScorer") -> None:
        """Add what another scorer of the same classes has counted, as another device would."""
        assert self.labels.names == other.labels.names and self._sums.shape == other._sums.shape
        self._confusion.merge(other._confusion)
        self._sums += other._sums
        self.num_images += other.num_images
        if self._thresholds is not None and other._thresholds is not None:
            self._thresholds.merge(other._thresholds)
        if self._uncertainty is not None and other._uncertainty is not None:
            self._uncertainty.merge(other._uncertainty)

    def compute(self) -> SemanticScores:
        """Return the scores of everything counted so far."""
        pixel, boundary = self._scores(self._sums)
        return SemanticScores(
            labels=self.labels,
            num_images=self.num_images,
            confusion=np.array(self._confusion.counts),
            pixel=pixel,
            foreground_dice=pixel.pooled_dice(self.labels.background_index),
            boundary=boundary,
            thresholds=None if self._thresholds is None else self._thresholds.compute(),
            intervals={} if self._uncertainty is None else self._uncertainty.intervals(),
            per_image={} if self._uncertainty is None else self._uncertainty.spreads(),
        )

    def _scores(self, sums: Counts) -> tuple[PixelScores, BoundaryScores | None]:
        return scores_of_sums(*sums[:3]), boundary_scores(sums[3:]) if self._boundaries else None

    def _named(self, sums: Counts) -> dict[str, float]:
        return dict(named_scores(self.labels, *self._scores(sums)))


def foreground_index(labels: LabelTable) -> int:
    """Return the class that thresholds are about: of two, the one that is not the background, or the second.

    Raises:
        ConfigError: There are not two classes.
    """
    if labels.num_classes != 2:
        raise ConfigError(
            f"Thresholds are for two classes, such as background and polyp; this model has "
            f"{labels.num_classes}: {', '.join(labels.names)}. Leave --thresholds out."
        )
    return 0 if labels.background_index == 1 else 1
