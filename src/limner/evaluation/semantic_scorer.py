"""Scoring of label maps, one image at a time; memory does not grow with the number of images.

Shape legend: K classes.
"""

from collections.abc import Mapping

import numpy as np

from limner.core.label_map import LabelMap
from limner.core.labels import LabelArray, LabelTable
from limner.core.prediction import SemanticPrediction
from limner.core.sample import Sample
from limner.core.score_names import SCORES
from limner.evaluation.lengths import Lengths
from limner.evaluation.semantic_scores import (
    LabelScores,
    SemanticImageScores,
    SemanticScores,
    foreground_index,
)
from limner.evaluation.slice_cases import SliceCases
from limner.evaluation.uncertainty import Uncertainty
from limner.metrics import boundary, case_scores
from limner.metrics.confusion import ConfusionMatrix, Counts, Overall, scores_of_sums
from limner.metrics.thresholds import ThresholdCurves


class SemanticScorer:
    """Accumulates scores of predicted label maps against true ones.

    Args:
        labels: The classes.
        boundaries: Whether to compute boundary scores, which take about 40 times as long as counting pixels.
        thresholds: Whether to score the foreground at every threshold; needs probabilities and two classes.
        uncertainty: Whether to compute distributions over the images and confidence intervals.
        cases: Whether to measure distances between surfaces and volumes of each image.
        tolerance: Distance within which surfaces count as equal; None is the largest spacing of each image.
        case_of: Case of each image that is a slice of a volume, by its name.

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
        cases: bool = False,
        tolerance: float | None = None,
        case_of: Mapping[str, str] | None = None,
    ) -> None:
        self.labels = labels
        self._leading = ("foreground_dice",) if labels.background_index is not None else ()
        self.num_images = 0
        self._confusion = ConfusionMatrix(labels.num_classes)
        rows = 3 + len(boundary.ROWS) * boundaries + len(case_scores.ROWS) * cases
        self._sums: Counts = np.zeros((rows, labels.num_classes), np.int64)
        self._boundaries = boundaries
        self._lengths = Lengths(tolerance) if cases else None
        self._slices = SliceCases(case_of or {})
        self._dims = 2
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
        kinds += case_scores.AVERAGES if self._lengths else []
        names = self.labels.names
        return *self._leading, "mean_iou", *(f"{kind}/{name}" for kind in kinds for name in names)

    def score(self, prediction: SemanticPrediction, sample: Sample) -> SemanticImageScores:
        """Add one image, and return its scores."""
        truth = sample.get(LabelMap)
        assert truth is not None, "label maps are scored against label maps"
        return self.update(prediction, truth.labels, spacing_mm=sample.spacing_mm)

    def update(
        self,
        prediction: SemanticPrediction,
        truth: LabelArray,
        *,
        spacing_mm: tuple[float, ...] | None = None,
    ) -> SemanticImageScores:
        """Add one image, and return its scores.

        Args:
            prediction: At the image's original size.
            truth: (*spatial) trained labels of the same size, as in a `LabelMap`.
            spacing_mm: Distance between neighbouring pixels along each axis, or None if unknown.
        """
        self._dims = truth.ndim
        counts = self._confusion.update(truth, prediction.semantic)
        sums = np.stack([np.diag(counts), counts.sum(1), counts.sum(0)])
        self._slices.update(prediction.name, sums)
        if self._boundaries:
            outlines = boundary.count_boundaries(truth, prediction.semantic, self.labels.num_classes)
            sums = np.concatenate([sums, outlines])
        if self._lengths is not None:
            sums = np.concatenate([sums, self._of_case(self._lengths, prediction, truth, spacing_mm)])
        self._sums += sums
        self.num_images += 1
        if self._thresholds is not None:
            assert prediction.probabilities is not None, "thresholds need probabilities"
            index = self._foreground
            self._thresholds.update(prediction.probabilities[index], truth, index=index)
        if self._uncertainty is not None:
            self._uncertainty.update(prediction.name, sums)
        return SemanticImageScores(prediction.name, self._scores(sums))

    def _of_case(
        self,
        lengths: Lengths,
        prediction: SemanticPrediction,
        truth: LabelArray,
        spacing_mm: tuple[float, ...] | None,
    ) -> Counts:
        """Return the rows of `count_case`; 0 for an image whose distances would have another unit."""
        num_classes = self.labels.num_classes
        ruler = lengths.ruler(spacing_mm, truth.ndim, self.labels.background_index)
        if ruler is None:
            return np.zeros((len(case_scores.ROWS), num_classes), np.int64)
        return case_scores.count_case(truth, prediction.semantic, num_classes, ruler)

    def merge(self, other: "SemanticScorer") -> None:
        """Add the counts of another scorer of the same classes, such as from another device."""
        assert self.labels.names == other.labels.names and self._sums.shape == other._sums.shape
        self._confusion.merge(other._confusion)
        self._sums += other._sums
        self.num_images += other.num_images
        self._slices.merge(other._slices)
        if self._thresholds is not None and other._thresholds is not None:
            self._thresholds.merge(other._thresholds)
        if self._uncertainty is not None and other._uncertainty is not None:
            self._uncertainty.merge(other._uncertainty)
        if self._lengths is not None and other._lengths is not None:
            self._lengths.merge(other._lengths)

    def compute(self) -> SemanticScores:
        """Return the scores of all images so far."""
        return SemanticScores(
            labels=self.labels,
            num_images=self.num_images,
            confusion=np.array(self._confusion.counts),
            spatial_dims=self._dims,
            parts=self._scores(self._sums),
            thresholds=None if self._thresholds is None else self._thresholds.compute(),
            intervals={} if self._uncertainty is None else self._uncertainty.intervals(),
            per_image={} if self._uncertainty is None else self._uncertainty.spreads(),
            lengths=self._lengths,
            slices=self._slices.compute(self.labels.background_index),
        )

    def _scores(self, sums: Counts) -> LabelScores:
        """Return the scores of (rows, ..., K) counts: of an image, of their sum, or of replicates."""
        pixels, rest = sums[:3], sums[3:]
        num_outlines = len(boundary.ROWS) * self._boundaries
        return LabelScores(
            self.labels,
            scores_of_sums(*pixels),
            boundary.boundary_scores(rest[:num_outlines]) if self._boundaries else None,
            None if self._lengths is None else case_scores.case_scores(rest[num_outlines:]),
        )

    def _named(self, sums: Counts) -> dict[str, Overall]:
        return self._scores(sums).named()
