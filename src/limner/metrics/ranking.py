"""One class against the rest at every threshold, exactly: PR and ROC curves and the areas under them.

`thresholds` counts in 1000 bins, for the pixels of many images; here every image is one probability.

Shape legend: N images, T distinct thresholds.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RankingCurve:
    """Counts at each threshold, the highest first.

    Attributes:
        thresholds: (T) distinct probabilities, descending; a class is predicted from them on.
        right: (T) images of the class at or above the threshold.
        wrong: (T) images of other classes at or above it.
    """

    thresholds: Values
    right: Values
    wrong: Values

    @property
    def precision(self) -> Values:
        """(T) part of the predicted images that are of the class."""
        return self.right / (self.right + self.wrong)

    @property
    def recall(self) -> Values:
        """(T) part of the images of the class that are predicted; NaN without one."""
        return self.right / self.right[-1] if self.right[-1] else np.full(len(self.right), np.nan)

    @property
    def false_positive_rate(self) -> Values:
        """(T) part of the other images that are predicted; NaN without one."""
        return self.wrong / self.wrong[-1] if self.wrong[-1] else np.full(len(self.wrong), np.nan)

    @property
    def average_precision(self) -> float:
        """Area under the PR curve in steps, without interpolation; NaN without images of the class."""
        if not self.right[-1]:
            return float("nan")
        return float((np.diff(self.recall, prepend=0.0) * self.precision).sum())

    @property
    def area_under_roc(self) -> float:
        """Area under the ROC curve by the trapezoidal rule; NaN if all images are of the class, or none."""
        if not self.right[-1] or not self.wrong[-1]:
            return float("nan")
        x, y = np.append(0.0, self.false_positive_rate), np.append(0.0, self.recall)
        return float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum())


def ranking_curve(probabilities: npt.NDArray[np.floating], is_class: npt.NDArray[np.bool_]) -> RankingCurve:
    """Count the right and wrong images at every threshold.

    Args:
        probabilities: (N,) of the class, N > 0.
        is_class: (N,) whether the image is of the class.
    """
    order = np.argsort(-probabilities, kind="stable")
    ranked, hits = probabilities[order], is_class[order]
    ends = np.append(
        np.flatnonzero(np.diff(ranked)), len(ranked) - 1
    )  # images of equal probability: one step
    right = np.cumsum(hits)[ends].astype(np.float64)
    return RankingCurve(ranked[ends].astype(np.float64), right, ends + 1.0 - right)
