"""Scoring of images with any number of classes, one image at a time.

The probabilities of all images are kept, since areas under curves need their order.

Shape legend: K classes, N images, R bootstrap replicates.
"""

import numpy as np
import numpy.typing as npt

from limner.core.image_class import ClassShares
from limner.core.labels import LabelTable
from limner.core.prediction import SCORE_THRESHOLD, TagPrediction
from limner.core.sample import Sample
from limner.core.score_names import SCORES
from limner.evaluation.scores_file import by_class_name
from limner.evaluation.tag_scores import OF_IMAGE, TagImageScores, TagScores
from limner.evaluation.uncertainty import FEWEST_IMAGES, intervals_of, spread_of
from limner.metrics.bootstrap import weights_of_images
from limner.metrics.class_tallies import image_class_scores, members_of_flags, resampled_scores
from limner.metrics.confusion import mean_of_present
from limner.metrics.ranking import ranking_curve
from limner.metrics.spread import Interval

Flags = npt.NDArray[np.bool_]
"""(N, K) whether each image has each class."""


class TagScorer:
    """Accumulates predicted and true classes of images.

    Args:
        labels: The classes.
        uncertainty: Whether to compute distributions over the images and confidence intervals.
    """

    rank_title = SCORES[OF_IMAGE].words
    columns = (OF_IMAGE, "subset_accuracy", "truth", "predicted")

    def __init__(self, labels: LabelTable, *, uncertainty: bool = False) -> None:
        self.labels = labels
        self._uncertainty = uncertainty
        self._names: list[str] = []
        self._truth: list[Flags] = []
        self._probabilities: list[npt.NDArray[np.float32]] = []

    @property
    def num_images(self) -> int:
        """Number of scored images."""
        return len(self._names)

    def score(self, prediction: TagPrediction, sample: Sample) -> TagImageScores:
        """Add one image, and return its scores."""
        truth = sample.get(ClassShares)
        assert truth is not None, "classes of images are scored against classes of images"
        has = truth.shares >= SCORE_THRESHOLD
        self._names.append(prediction.name)
        self._truth.append(has)
        self._probabilities.append(prediction.probabilities)
        names, found = self.labels.names, prediction.probabilities >= SCORE_THRESHOLD
        return TagImageScores(
            prediction.name,
            float(_f1_of_images(has[None], found[None])[0]),
            tuple(names[i] for i in np.flatnonzero(has)),
            tuple(names[i] for i in np.flatnonzero(found)),
        )

    def merge(self, other: "TagScorer") -> None:
        """Add the images of another scorer of the same classes."""
        assert self.labels.names == other.labels.names
        self._names += other._names
        self._truth += other._truth
        self._probabilities += other._probabilities

    def compute(self) -> TagScores:
        """Return the scores of all images so far."""
        truth, chances = np.stack(self._truth), np.stack(self._probabilities)
        found = chances >= SCORE_THRESHOLD
        right = truth & found
        counted = image_class_scores(right.sum(0), truth.sum(0), found.sum(0), self.num_images)
        of_images = _f1_of_images(truth, found)
        return TagScores(
            labels=self.labels,
            num_images=self.num_images,
            counted=counted,
            subset_accuracy=float((truth == found).all(1).mean()),
            micro_f1=float(_f1_of_images(truth.reshape(1, -1), found.reshape(1, -1))[0]),
            samples_f1=float(mean_of_present(of_images)),
            curves=tuple(ranking_curve(chances[:, k], truth[:, k]) for k in range(self.labels.num_classes)),
            intervals=self._intervals(truth, found),
            per_image={OF_IMAGE: spread_of(OF_IMAGE, of_images)} if self._uncertainty else {},
        )

    def _intervals(self, truth: Flags, found: Flags) -> dict[str, Interval]:
        """Return score name -> 95 % interval; empty for too few images, or unless requested."""
        if not self._uncertainty or self.num_images < FEWEST_IMAGES:
            return {}
        right, images, predicted = map(members_of_flags, (truth & found, truth, found))
        num_right, is_right = (truth & found).sum(1), (truth == found).all(1)

        def named(times: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[np.float64]]:
            weights = times.astype(np.int64, order="C")
            counted = resampled_scores(weights, right, images, predicted)
            pooled = np.maximum((counted.images + counted.predicted).sum(1), 1)
            return {
                "subset_accuracy": weights @ is_right / np.maximum(weights.sum(1), 1),
                "micro_f1_score": 2 * (weights @ num_right) / pooled,
                **counted.overall(),
                **by_class_name(self.labels.names, counted.by_class()),
            }

        return intervals_of(named, weights_of_images(self._names))


def _f1_of_images(truth: Flags, found: Flags) -> npt.NDArray[np.float64]:
    """Return (N,) F1 of each row; NaN where there is neither a true nor a predicted class."""
    both = truth.sum(1) + found.sum(1)
    f1 = np.full(len(truth), np.nan)
    np.divide(2 * (truth & found).sum(1), both, out=f1, where=both > 0)
    return f1
