"""The scores of images with any number of classes: of one image, and of a whole dataset.

Shape legend: K classes, N images.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.labels import LabelTable
from limner.evaluation.image_class_scores import areas_under
from limner.evaluation.scores_file import as_floats, by_class_name, class_rows, some_names
from limner.metrics.class_tallies import ImageClassScores
from limner.metrics.confusion import mean_of_present
from limner.metrics.ranking import RankingCurve
from limner.metrics.spread import Interval, Spread

OF_IMAGE = "samples_f1_score"
"""The score that images are ordered by."""


@dataclass(frozen=True)
class TagImageScores:
    """The scores of one image.

    Attributes:
        name: The record's name.
        f1: F1 of its classes; NaN if it has none and none is predicted.
        truth: Names of the true classes.
        predicted: Names of the predicted classes.
    """

    name: str
    f1: float
    truth: tuple[str, ...]
    predicted: tuple[str, ...]

    @property
    def rank(self) -> float:
        """The score that images are ordered by."""
        return self.f1

    @property
    def numbers(self) -> tuple[float | str, ...]:
        """One value per column."""
        is_right = float(self.truth == self.predicted)
        return self.f1, is_right, "; ".join(self.truth), "; ".join(self.predicted)


@dataclass(frozen=True)
class TagScores:
    """The scores of a whole dataset.

    Attributes:
        labels: The classes, in the order of every (K) array.
        num_images: N.
        counted: Scores from numbers of images, at a probability of 0.5.
        subset_accuracy: Part of the images whose classes are all right.
        micro_f1: F1 of all classes of all images pooled.
        samples_f1: Mean F1 of the images that have one.
        curves: K curves of each class.
        intervals: Score name, as in `items`, -> its 95 % bootstrap interval over images.
        per_image: Score name -> its distribution over the images.
    """

    labels: LabelTable
    num_images: int
    counted: ImageClassScores
    subset_accuracy: float
    micro_f1: float
    samples_f1: float
    curves: tuple[RankingCurve, ...]
    intervals: dict[str, Interval] = field(default_factory=dict)
    per_image: dict[str, Spread] = field(default_factory=dict)

    def overall(self) -> dict[str, float]:
        """Return the scores over all classes by name."""
        means = as_floats(self.counted.overall())
        return {
            **{f"macro_{name}": float(mean_of_present(values)) for name, values in self.areas().items()},
            "micro_f1_score": self.micro_f1,
            OF_IMAGE: self.samples_f1,
            "subset_accuracy": self.subset_accuracy,
            **means,
        }

    def areas(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return the (K) areas under the curves by name."""
        return areas_under(self.curves)

    def items(self) -> Iterator[tuple[str, float]]:
        """Yield score name -> value, as validation logs them."""
        yield from self.overall().items()
        yield from as_floats(by_class_name(self.labels.names, {"f1_score": self.counted.f1})).items()

    def to_dict(self) -> dict[str, Any]:
        """Return the content of scores.json, without the split."""
        counts = {"images": self.counted.images, "predicted_images": self.counted.predicted}
        columns = self.counted.by_class() | self.areas() | counts
        return {
            "task": "multilabel",
            "num_images": self.num_images,
            "classes": class_rows(self.labels.names, columns),
            **self.overall(),
            "num_absent_classes": int((~self.counted.is_present).sum()),
            "notes": list(self._notes()),
            "intervals": self.intervals,
            "per_image": {name: asdict(spread) for name, spread in self.per_image.items()},
        }

    def _notes(self) -> Iterator[str]:
        """Yield what makes scores undefined or misleading on these images."""
        names, counted = self.labels.names, self.counted
        missing = [names[i] for i in np.flatnonzero(counted.images == 0)]
        if missing:
            yield f"No image has {some_names(missing)}: such classes have no recall and no curves."
        never = [names[i] for i in np.flatnonzero((counted.images > 0) & (counted.predicted == 0))]
        if never:
            yield (
                f"Never predicted: {some_names(never)}. They have no precision, which counts as 0 in the "
                "means."
            )
