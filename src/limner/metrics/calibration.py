"""Calibration of confidences: how often predictions of a confidence are right.

Shape legend: N predictions, B bins of equal width.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from limner.metrics.thresholds import CALIBRATION_BINS

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """Reliability of predictions with similar confidence; empty bins are left out.

    Attributes:
        confidence: (B) mean confidence.
        accuracy: (B) part that is right.
        count: (B) number of predictions.
    """

    confidence: Values
    accuracy: Values
    count: npt.NDArray[np.int64]

    @property
    def error(self) -> float:
        """Expected calibration error: mean gap between confidence and accuracy, weighted by predictions."""
        total = self.count.sum()
        gaps = np.abs(self.confidence - self.accuracy) * self.count
        return float(gaps.sum() / total) if total else float("nan")


def calibration(confidence: npt.NDArray[np.floating], is_right: npt.NDArray[np.bool_]) -> Calibration:
    """Divide predictions into 15 bins of equal width, as Guo et al. (ICML 2017).

    Args:
        confidence: (N,) in [0, 1]; the upper end of a bin belongs to it.
        is_right: (N,) whether the prediction is right.
    """
    place = np.ceil(np.asarray(confidence, np.float64) * CALIBRATION_BINS).astype(np.int64) - 1
    place = np.clip(place, 0, CALIBRATION_BINS - 1)
    count = np.bincount(place, minlength=CALIBRATION_BINS)
    sure = np.bincount(place, np.asarray(confidence, np.float64), CALIBRATION_BINS)
    right = np.bincount(place, is_right, CALIBRATION_BINS)
    used = count > 0
    return Calibration(sure[used] / count[used], right[used] / count[used], count[used])
