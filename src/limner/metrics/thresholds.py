"""One class versus the rest at every threshold: PR and ROC curves, and calibration.

Probabilities are counted in 1000 bins, so memory does not grow with pixels or images.

Shape legend: T thresholds, *S spatial axes.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from limner.core.labels import LabelArray, ignored_in
from limner.metrics.confusion import PerClass, ratio

STEPS = 1000
"""Thresholds are 0, 0.001, ..., 1."""

CALIBRATION_BINS = 15
"""As in Guo et al., 2017."""


@dataclass(frozen=True)
class ThresholdScores:
    """Scores at each threshold; the class is predicted where its probability is at least the threshold.

    If all pixels are of the class, or none is, there are no areas and no best threshold.

    Attributes:
        thresholds: (T) ascending.
        precision: (T) NaN if nothing is predicted.
        recall: (T) also called true positive rate.
        false_positive_rate: (T) fraction of the other pixels that are predicted as the class.
        dice: (T) Dice score.
        average_precision: Area under the PR curve as a step function, as in scikit-learn; NaN if every pixel
            is of the class.
        area_under_roc: Area under the ROC curve.
        calibration_error: ECE: mean difference between predicted probability and observed frequency.
        reliability: (bins, 3) mean probability, observed frequency, number of pixels; non-empty bins only.
    """

    thresholds: PerClass
    precision: PerClass
    recall: PerClass
    false_positive_rate: PerClass
    dice: PerClass
    average_precision: float
    area_under_roc: float
    calibration_error: float
    reliability: npt.NDArray[np.float64]

    @property
    def best(self) -> tuple[float, float]:
        """The threshold with the highest Dice, and that Dice, on the same images; NaN if undefined."""
        if math.isnan(self.area_under_roc):
            return math.nan, math.nan
        place = int(np.nanargmax(self.dice))
        return float(self.thresholds[place]), float(self.dice[place])


class ThresholdCurves:
    """Histograms of probability for the pixels of a class and for all others."""

    def __init__(self) -> None:
        self._pixels = np.zeros((2, STEPS + 1), np.int64)
        self._bins = np.zeros((3, CALIBRATION_BINS))

    def update(self, probability: npt.NDArray[np.float32], truth: LabelArray, *, index: int) -> None:
        """Add one image.

        Args:
            probability: (*S) probability of the class, 0..1.
            truth: (*S) labels, as in a `LabelMap`.
            index: Index of the class.
        """
        known = truth != ignored_in(truth)
        sure, is_class = probability[known].astype(np.float64), truth[known] == index
        step = np.clip((sure * STEPS).astype(np.int64), 0, STEPS)
        for row, pixels in enumerate((~is_class, is_class)):
            self._pixels[row] += np.bincount(step[pixels], minlength=STEPS + 1)
        place = np.clip((sure * CALIBRATION_BINS).astype(np.int64), 0, CALIBRATION_BINS - 1)
        for row, weights in enumerate((sure, is_class, np.ones_like(sure))):
            self._bins[row] += np.bincount(place, weights, CALIBRATION_BINS)

    def merge(self, other: "ThresholdCurves") -> None:
        """Add the counts of another instance."""
        self._pixels += other._pixels
        self._bins += other._bins

    def compute(self) -> ThresholdScores:
        """Return curves and areas of all images so far."""
        # A pixel is predicted if its probability is at or above the threshold.
        wrong, right = np.cumsum(self._pixels[:, ::-1], 1)[:, ::-1]
        precision, recall = ratio(right, right + wrong), _part(right)
        rate = _part(wrong)
        used = self._bins[2] > 0
        sure, true, pixels = self._bins[:, used]
        reliability = np.stack([sure / pixels, true / pixels, pixels], 1)
        gaps = np.abs(reliability[:, 0] - reliability[:, 1]) * pixels
        gained = recall - np.append(recall[1:], 0.0)
        precision_by_recall = float((np.nan_to_num(precision) * gained).sum())
        return ThresholdScores(
            thresholds=np.arange(STEPS + 1) / STEPS,
            precision=precision,
            recall=recall,
            false_positive_rate=rate,
            dice=ratio(2 * right, right + wrong + right[0]),
            average_precision=precision_by_recall if wrong[0] else math.nan,
            area_under_roc=_area(np.append(0.0, rate[::-1]), np.append(0.0, recall[::-1])),
            calibration_error=float(gaps.sum() / pixels.sum()) if len(pixels) else np.nan,
            reliability=reliability,
        )


def _part(counted: npt.NDArray[np.int64]) -> PerClass:
    """Return counts as fractions of the first, which is the total; NaN if it is zero."""
    return ratio(counted, np.full(len(counted), counted[0]))


def _area(xs: PerClass, ys: PerClass) -> float:
    """Return the area under a curve by the trapezoidal rule."""
    return float((np.diff(xs) * (ys[1:] + ys[:-1]) / 2).sum())
