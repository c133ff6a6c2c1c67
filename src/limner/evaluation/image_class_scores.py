"""The scores of classes of whole images: of one image, and of a whole dataset.

Shape legend: K classes, N images.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.labels import LabelTable
from limner.evaluation.scores_file import as_floats, by_class_name, class_rows, some_names
from limner.metrics.calibration import Calibration
from limner.metrics.class_tallies import ImageClassScores
from limner.metrics.confusion import Counts, mean_of_present
from limner.metrics.ranking import RankingCurve
from limner.metrics.spread import Interval, Spread

TOP = 5
"""Number of guesses of the top-5 accuracy, which has a meaning for more classes than this."""

PROBABILITY = "true_class_probability"
"""The score that images are ordered by."""


@dataclass(frozen=True)
class ClassImageScores:
    """The scores of one image.

    Attributes:
        name: The record's name.
        truth: Name of the true class.
        predicted: Name of the predicted class.
        confidence: Probability of the predicted class.
        probability: Probability of the true class.
    """

    name: str
    truth: str
    predicted: str
    confidence: float
    probability: float

    @property
    def is_right(self) -> bool:
        """Whether the predicted class is the true one."""
        return self.truth == self.predicted

    @property
    def rank(self) -> float:
        """The score that images are ordered by."""
        return self.probability

    @property
    def numbers(self) -> tuple[float | str, ...]:
        """One value per column."""
        return self.probability, float(self.is_right), self.confidence, self.truth, self.predicted


@dataclass(frozen=True)
class ClassScores:
    """The scores of a whole dataset.

    Attributes:
        labels: The classes, in the order of every (K) array.
        num_images: N.
        confusion: (K, K) int64 numbers of images, rows truth and columns prediction.
        counted: Scores from these numbers.
        accuracy: Part of the images whose most probable class is right.
        top5_accuracy: Part whose true class is among the five most probable ones; None up to 5 classes.
        log_loss: Mean of ``-log p(true class)``.
        mean_probability: Mean probability of the true class.
        curves: K curves of each class against the rest; empty during training.
        calibration: Reliability of the most probable class.
        intervals: Score name, as in `items`, -> its 95 % bootstrap interval over images.
        per_image: Score name -> its distribution over the images.
    """

    labels: LabelTable
    num_images: int
    confusion: Counts
    counted: ImageClassScores
    accuracy: float
    top5_accuracy: float | None
    log_loss: float
    mean_probability: float
    curves: tuple[RankingCurve, ...]
    calibration: Calibration
    intervals: dict[str, Interval] = field(default_factory=dict)
    per_image: dict[str, Spread] = field(default_factory=dict)

    def overall(self) -> dict[str, float]:
        """Return the scores over all classes by name."""
        areas = self.areas()
        return {
            "accuracy": self.accuracy,
            **({} if self.top5_accuracy is None else {"top5_accuracy": self.top5_accuracy}),
            "balanced_accuracy": float(self.counted.balanced_accuracy),
            **as_floats(self.counted.overall()),
            **{f"macro_{name}": float(mean_of_present(values)) for name, values in areas.items()},
            PROBABILITY: self.mean_probability,
            "log_loss": self.log_loss,
            "confidence_error": self.calibration.error,
        }

    def areas(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return the (K) areas under the curves by name; nothing during training."""
        return areas_under(self.curves) if self.curves else {}

    def items(self) -> Iterator[tuple[str, float]]:
        """Yield score name -> value, as validation logs them."""
        yield from self.overall().items()
        names = ("precision", "recall", "f1_score")
        columns = {name: values for name, values in self.counted.by_class().items() if name in names}
        yield from as_floats(by_class_name(self.labels.names, columns)).items()

    def to_dict(self) -> dict[str, Any]:
        """Return the content of scores.json, without the split."""
        counts = {"images": self.counted.images, "predicted_images": self.counted.predicted}
        columns = self.counted.by_class() | self.areas() | counts
        return {
            "task": "classification",
            "num_images": self.num_images,
            "classes": class_rows(self.labels.names, columns),
            **self.overall(),
            "num_absent_classes": int((~self.counted.is_present).sum()),
            "notes": list(self._notes()),
            "intervals": self.intervals,
            "per_image": {name: asdict(spread) for name, spread in self.per_image.items()},
            "calibration": calibration_rows(self.calibration),
            "confusion_matrix": self.confusion.tolist(),
        }

    def _notes(self) -> Iterator[str]:
        """Yield what makes scores undefined or misleading on these images."""
        names, counted = self.labels.names, self.counted
        if len(names) == 1:
            yield f"There is one class, {names[0]}, so no image can be wrong: the scores say nothing."
        missing = [names[i] for i in np.flatnonzero(counted.images == 0)]
        if missing and len(names) > 1:
            yield f"No image is of {some_names(missing)}: such classes have no recall and no curves."
        never = [names[i] for i in np.flatnonzero((counted.images > 0) & (counted.predicted == 0))]
        if never:
            yield (
                f"Never predicted: {some_names(never)}. They have no precision, which counts as 0 in the "
                "means."
            )


def calibration_rows(found: Calibration) -> list[dict[str, float | int]]:
    """Return the reliability diagram as plain values."""
    rows = zip(found.confidence.tolist(), found.accuracy.tolist(), found.count.tolist(), strict=True)
    return [{"confidence": sure, "accuracy": right, "images": count} for sure, right, count in rows]


def areas_under(curves: Sequence[RankingCurve]) -> dict[str, npt.NDArray[np.float64]]:
    """Return the (K) areas under the curves of K classes by name."""
    return {
        "average_precision": np.array([curve.average_precision for curve in curves]),
        "area_under_roc": np.array([curve.area_under_roc for curve in curves]),
    }
