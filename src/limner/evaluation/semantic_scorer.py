"""Scoring of label maps, one image at a time; memory does not grow with the number of images.

Shape legend: K classes.
"""

import numpy as np

from limner.core.label_map import LabelMap
from limner.core.labels import LabelArray, LabelTable
from limner.core.prediction import SemanticPrediction
from limner.core.sample import Sample
from limner.core.score_names import SCORES
from limner.evaluation.semantic_scores import (
    SemanticImageScores,
    SemanticScores,
    foreground_index,
    named_scores,
)
from limner.evaluation.uncertainty import Uncertainty
from limner.metrics.boundary import ROWS, BoundaryScores, boundary_scores, count_boundaries
from limner.metrics.confusion import ConfusionMatrix, Counts, PixelScores, pixel_scores, scores_of_sums
from limner.metrics.thresholds import ThresholdCurves


class SemanticScorer:
    """Accumulates scores of predicted label maps against true ones.

    Args:
        labels: The classes.
        boundaries: Whether to compute boundary scores, which take about 40 times as long as counting pixels.
        thresholds: Whether to score the foreground at every threshold; needs probabilities and two classes.
        uncertainty: Whether to compute distributions over the images and confidence intervals.

    Raises:
        ConfigError: Threshold scores are requested for more than two classes.
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
        self._leading = ("foreground_dice",) if labels.background_index is not None else ()
        self.num_images = 0
        self._confusion = ConfusionMatrix(labels.num_classes)
        rows = 3 + (len(ROWS) if boundaries else 0)
        self._sums: Counts = np.zeros((rows, labels.num_classes), np.int64)
        self._boundaries = boundaries
        self._thresholds = ThresholdCurves() if thresholds else None
        self._foreground = foreground_index(labels) if thresholds else 0
        self._uncertainty = (
            Uncertainty(self._named, shape=(rows, labels.num_classes)) if uncertainty else None
        )

    @property
    def rank_title(self) -> str:
        """Name of the score that images are ordered by."""
        return SCORES[(*self._leading, "mean_iou")[0]].words

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the numbers of an image's scores.

        From the numbers of pixels (right, false positives, false negatives), images can be pooled again.
        """
        kinds = ["iou", "dice", "right", "false_positives", "false_negatives"]
        kinds += ["boundary_iou", "boundary_f1"] if self._boundaries else []
        names = self.labels.names
        return *self._leading, "mean_iou", *(f"{kind}/{name}" for kind in kinds for name in names)

    def score(self, prediction: SemanticPrediction, sample: Sample) -> SemanticImageScores:
        """Add one image, and return its scores."""
        truth = sample.get(LabelMap)
        assert truth is not None, "label maps are scored against label maps"
        return self.update(prediction, truth.labels)

    def update(self, prediction: SemanticPrediction, truth: LabelArray) -> SemanticImageScores:
        """Add one image, and return its scores.

        Args:
            prediction: At the image's original size.
            truth: (*spatial) trained labels of the same size, as in a `LabelMap`.
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
            index = self._foreground
            self._thresholds.update(prediction.probabilities[index], truth, index=index)
        if self._uncertainty is not None:
            self._uncertainty.update(prediction.name, sums)
        scores = pixel_scores(counts)
        dice = scores.foreground_dice(self.labels.background_index)
        return SemanticImageScores(prediction.name, scores, dice, boundary)

    def merge(self, other: "SemanticScorer") -> None:
        """Add the counts of another scorer of the same classes, such as from another device."""
        assert self.labels.names == other.labels.names and self._sums.shape == other._sums.shape
        self._confusion.merge(other._confusion)
        self._sums += other._sums
        self.num_images += other.num_images
        if self._thresholds is not None and other._thresholds is not None:
            self._thresholds.merge(other._thresholds)
        if self._uncertainty is not None and other._uncertainty is not None:
            self._uncertainty.merge(other._uncertainty)

    def compute(self) -> SemanticScores:
        """Return the scores of all images so far."""
        pixel, boundary = self._scores(self._sums)
        return SemanticScores(
            labels=self.labels,
            num_images=self.num_images,
            confusion=np.array(self._confusion.counts),
            pixel=pixel,
            foreground_dice=pixel.foreground_dice(self.labels.background_index),
            boundary=boundary,
            thresholds=None if self._thresholds is None else self._thresholds.compute(),
            intervals={} if self._uncertainty is None else self._uncertainty.intervals(),
            per_image={} if self._uncertainty is None else self._uncertainty.spreads(),
        )

    def _scores(self, sums: Counts) -> tuple[PixelScores, BoundaryScores | None]:
        return scores_of_sums(*sums[:3]), boundary_scores(sums[3:]) if self._boundaries else None

    def _named(self, sums: Counts) -> dict[str, float]:
        return named_scores(self.labels, *self._scores(sums))
