"""Scoring of classes of whole images, one image at a time.

The probabilities of all images are kept, since areas under curves need their order: 4 bytes for each image
and class.

Shape legend: K classes, N images, R bootstrap replicates.
"""

import numpy as np
import numpy.typing as npt

from limner.core.image_class import ImageClass
from limner.core.labels import LabelTable
from limner.core.prediction import ClassPrediction
from limner.core.sample import Sample
from limner.core.score_names import SCORES
from limner.evaluation.image_class_scores import (
    PROBABILITY,
    TOP,
    ClassImageScores,
    ClassScores,
)
from limner.evaluation.scores_file import by_class_name
from limner.evaluation.uncertainty import FEWEST_IMAGES, intervals_of, spread_of
from limner.metrics.bootstrap import weights_of_images
from limner.metrics.calibration import calibration
from limner.metrics.class_tallies import image_class_scores, members_of, resampled_scores
from limner.metrics.ranking import RankingCurve, ranking_curve
from limner.metrics.spread import Interval

SMALLEST = float(np.finfo(np.float32).tiny)
"""A probability of zero counts as this in the log loss, which would be infinite."""


class ClassScorer:
    """Accumulates predicted and true classes.

    Args:
        labels: The classes.
        uncertainty: Whether to compute curves, distributions over the images, and confidence intervals.
    """

    rank_title = SCORES[PROBABILITY].label
    columns = (PROBABILITY, "accuracy", "confidence", "truth", "predicted")

    def __init__(self, labels: LabelTable, *, uncertainty: bool = False) -> None:
        self.labels = labels
        self._uncertainty = uncertainty
        self._names: list[str] = []
        self._truth: list[int] = []
        self._probabilities: list[npt.NDArray[np.float32]] = []

    @property
    def num_images(self) -> int:
        """Number of scored images."""
        return len(self._names)

    def score(self, prediction: ClassPrediction, sample: Sample) -> ClassImageScores:
        """Add one image, and return its scores."""
        truth = sample.get(ImageClass)
        assert truth is not None, "classes of images are scored against classes of images"
        self._names.append(prediction.name)
        self._truth.append(truth.label)
        self._probabilities.append(prediction.probabilities)
        return ClassImageScores(
            prediction.name,
            self.labels.names[truth.label],
            self.labels.names[prediction.label],
            prediction.confidence,
            float(prediction.probabilities[truth.label]),
        )

    def merge(self, other: "ClassScorer") -> None:
        """Add the images of another scorer of the same classes."""
        assert self.labels.names == other.labels.names
        self._names += other._names
        self._truth += other._truth
        self._probabilities += other._probabilities

    def compute(self) -> ClassScores:
        """Return the scores of all images so far."""
        num_classes, total = self.labels.num_classes, self.num_images
        truth, chances = np.array(self._truth, np.int64), np.stack(self._probabilities).astype(np.float64)
        predicted, of_truth = chances.argmax(1), chances[np.arange(total), truth]
        pairs = np.bincount(truth * num_classes + predicted, minlength=num_classes**2)
        confusion = pairs.reshape(num_classes, num_classes)
        right = truth == predicted
        curves: tuple[RankingCurve, ...] = ()
        if self._uncertainty:
            curves = tuple(ranking_curve(chances[:, k], truth == k) for k in range(num_classes))
        in_top = _place(chances, truth) < TOP
        return ClassScores(
            labels=self.labels,
            num_images=total,
            confusion=confusion,
            counted=image_class_scores(np.diag(confusion), confusion.sum(1), confusion.sum(0), total),
            accuracy=float(right.mean()),
            top5_accuracy=float(in_top.mean()) if num_classes > TOP else None,
            log_loss=float(-np.log(np.maximum(of_truth, SMALLEST)).mean()),
            mean_probability=float(of_truth.mean()),
            curves=curves,
            calibration=calibration(chances.max(1), right),
            intervals=self._intervals(truth, chances, in_top),
            per_image={PROBABILITY: spread_of(PROBABILITY, of_truth)} if self._uncertainty else {},
        )

    def _intervals(
        self,
        truth: npt.NDArray[np.int64],
        chances: npt.NDArray[np.float64],
        in_top: npt.NDArray[np.bool_],
    ) -> dict[str, Interval]:
        """Return score name -> 95 % interval; empty for too few images, or unless requested."""
        if not self._uncertainty or self.num_images < FEWEST_IMAGES:
            return {}
        predicted, count = chances.argmax(1), self.labels.num_classes
        right, of_truth = truth == predicted, chances[np.arange(len(truth)), truth]
        members = [members_of(classes, count) for classes in (truth, predicted)]
        hits = members[0].multiply(right[:, None]).tocsr()
        losses = -np.log(np.maximum(of_truth, SMALLEST))

        def named(times: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[np.float64]]:
            weights = times.astype(np.int64, order="C")
            total, counted = np.maximum(weights.sum(1), 1), resampled_scores(weights, hits, *members)
            return {
                "accuracy": weights @ right / total,
                "balanced_accuracy": counted.balanced_accuracy,
                PROBABILITY: weights @ of_truth / total,
                "log_loss": weights @ losses / total,
                **counted.overall(),
                **({"top5_accuracy": weights @ in_top / total} if count > TOP else {}),
                **by_class_name(self.labels.names, counted.by_class()),
            }

        return intervals_of(named, weights_of_images(self._names))


def _place(chances: npt.NDArray[np.float64], truth: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return (N,) the number of classes before the true one, by probability, then by number."""
    own = chances[np.arange(len(truth)), truth][:, None]
    is_earlier = np.arange(chances.shape[1])[None] < truth[:, None]
    return np.asarray(((chances > own) | ((chances == own) & is_earlier)).sum(1), np.int64)
