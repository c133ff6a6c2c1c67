"""Scores of classes of whole images, from counts of right, true and predicted images.

Shape legend: K classes, N images, R bootstrap replicates; leading axes (...) such as R are kept.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.metrics.confusion import ratio

Values = npt.NDArray[np.float64]
Tallies = npt.NDArray[Any]
"""(..., K) numbers of images."""

Members = Any
"""(N, K) sparse matrix of 0 and 1: the classes of each image."""


@dataclass(frozen=True)
class ImageClassScores:
    """Scores of each class, and over all classes.

    A precision or recall without a denominator is NaN, and counts as 0 in the means over the classes that are
    in the truth or the prediction: a class that is never predicted is not found precisely. A specificity
    without one is left out: all images are of the class.

    Attributes:
        precision: (..., K) right images over those predicted as the class.
        recall: (..., K) right images over those of the class.
        f1: (..., K) twice the right images over both; NaN for a class in neither.
        specificity: (..., K) part of the images of other classes that are not predicted as the class.
        images: (..., K) images of the class.
        predicted: (..., K) images predicted as the class.
        is_present: (..., K) whether the class is in the truth or the prediction.
    """

    precision: Values
    recall: Values
    f1: Values
    specificity: Values
    images: Tallies
    predicted: Tallies
    is_present: npt.NDArray[np.bool_]

    def by_class(self) -> dict[str, Values]:
        """Return the (..., K) scores of the classes by name."""
        return {
            "precision": self.precision,
            "recall": self.recall,
            "f1_score": self.f1,
            "specificity": self.specificity,
        }

    def overall(self) -> dict[str, Values]:
        """Return the (...) scores over all classes by name: macro averages, and those weighted by images."""
        means: dict[str, Values] = {}
        for name, values in self.by_class().items():
            # Without an image of another class, no prediction could have been wrong by the specificity.
            counted = self.is_present & ~(np.isnan(values) & (name == "specificity"))
            means[f"macro_{name}"] = _mean_where(np.nan_to_num(values), counted)
            images = self.images * counted
            means[f"weighted_{name}"] = ratio((np.nan_to_num(values) * images).sum(-1), images.sum(-1))
        return means

    @property
    def balanced_accuracy(self) -> Values:
        """(...) mean recall of the classes that are in the truth."""
        return _mean_where(self.recall, self.images > 0)


def image_class_scores(
    right: Tallies, images: Tallies, predicted: Tallies, total: Tallies | int
) -> ImageClassScores:
    """Compute the scores from counts.

    Args:
        right: (..., K) images of the class that are predicted as it.
        images: (..., K) images of the class.
        predicted: (..., K) images predicted as the class.
        total: (...) all images.
    """
    others = np.asarray(total)[..., None] - images
    return ImageClassScores(
        precision=ratio(right, predicted),
        recall=ratio(right, images),
        f1=ratio(2 * right, images + predicted),
        specificity=ratio(others - (predicted - right), others),
        images=images,
        predicted=predicted,
        is_present=(images + predicted) > 0,
    )


def resampled_scores(
    weights: npt.NDArray[np.int64], right: Members, images: Members, predicted: Members
) -> ImageClassScores:
    """Compute the scores of bootstrap replicates.

    Args:
        weights: (R, N) how often each replicate draws each image.
        right: (N, K) whether the image is of the class and predicted as it.
        images: (N, K) whether it is of the class.
        predicted: (N, K) whether it is predicted as the class.
    """
    counts = [np.asarray((members.T @ weights.T).T) for members in (right, images, predicted)]
    return image_class_scores(counts[0], counts[1], counts[2], weights.sum(1))


def members_of(classes: npt.NDArray[np.int64], num_classes: int) -> Members:
    """Return (N, K) membership of images with one class each."""
    from scipy.sparse import csr_matrix  # prediction does without it

    count = len(classes)
    ones = np.ones(count, np.int64)
    return csr_matrix((ones, (np.arange(count), classes)), (count, num_classes))


def members_of_flags(flags: npt.NDArray[np.bool_]) -> Members:
    """Return (N, K) membership of images with any number of classes."""
    from scipy.sparse import csr_matrix  # prediction does without it

    return csr_matrix(flags.astype(np.int64))


def _mean_where(values: Values, counted: npt.NDArray[np.bool_]) -> Values:
    return ratio(np.where(counted, values, 0.0).sum(-1), counted.sum(-1))
