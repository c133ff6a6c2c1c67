"""What the scores of objects, with masks or with boxes, have in common.

Shape legend: K classes.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from limner.core.labels import LabelTable
from limner.core.prediction import SCORE_THRESHOLD
from limner.core.wording import count_words
from limner.evaluation.scores_file import as_floats, by_class_name, class_rows, some_names
from limner.metrics.average_precision import MOST_DETECTIONS, PrecisionScores
from limner.metrics.confusion import Counts
from limner.metrics.segment_matches import MISSED, RIGHT, WRONG, MatchScores, match_scores
from limner.metrics.spread import Interval, Spread

IMAGE_COLUMNS = ("f1", "precision", "recall", "objects", "found_objects")
"""Names of the numbers of `ObjectImageScores`."""


@dataclass(frozen=True)
class ObjectImageScores:
    """The scores of one image.

    Attributes:
        name: The record's name.
        f1: F1 of objects with a score of 0.5 or more, matched at an IoU of 0.5; NaN if there are neither true
            nor predicted objects.
        precision: Fraction of predicted objects that are correct.
        recall: Fraction of true objects that were found.
        num_true: Number of true objects, without crowds.
        num_found: Number of objects with a score of 0.5 or more, without those in crowds.
    """

    name: str
    f1: float
    precision: float
    recall: float
    num_true: int
    num_found: int

    @classmethod
    def of(cls, name: str, matches: Counts) -> "ObjectImageScores":
        """Return the scores of an image with these match counts."""
        found = match_scores(matches)
        right, wrong, missed = (int(matches[rows.start].sum()) for rows in (RIGHT, WRONG, MISSED))
        return cls(
            name=name,
            f1=float(found.f1[0]),
            precision=float(found.precision[0]),
            recall=float(found.recall[0]),
            num_true=right + missed,
            num_found=right + wrong,
        )

    @property
    def rank(self) -> float:
        """The score that images are ordered by."""
        return self.f1

    @property
    def numbers(self) -> tuple[float, ...]:
        """One number per column."""
        return self.f1, self.precision, self.recall, self.num_true, self.num_found


@dataclass(frozen=True)
class ObjectCounts:
    """What was counted of the objects of a whole dataset, besides their average precision.

    Attributes:
        num_images: Number of scored images.
        num_true: (K) number of true objects, without crowds and difficult ones.
        num_found: (K) number of found objects with any score.
        matches: Match scores of the objects with a score of 0.5 or more.
        lowest_score: Lowest score of a found object; infinite if none was found.
        highest_score: Highest score of a found object.
        per_image: Score name -> its distribution over the images.
    """

    num_images: int
    num_true: Counts
    num_found: Counts
    matches: MatchScores
    lowest_score: float
    highest_score: float
    per_image: Mapping[str, Spread] = field(default_factory=dict)


@dataclass(frozen=True)
class ObjectScores(ABC):
    """The scores of a whole dataset; subclasses add average precisions.

    Attributes:
        labels: The classes.
        counts: What was counted.
        intervals: Score name -> its 95 % bootstrap interval over images.
    """

    labels: LabelTable
    counts: ObjectCounts
    intervals: Mapping[str, Interval]

    task: ClassVar[str]
    """Name of the task in scores.json."""
    precision_name: ClassVar[str]
    """Name of the score `precision.by_class`."""

    @property
    @abstractmethod
    def precision(self) -> PrecisionScores:
        """The average precision of the objects as the task finds them."""

    @abstractmethod
    def overall(self) -> dict[str, float]:
        """Return score name -> value over all classes."""

    @abstractmethod
    def by_class(self) -> dict[str, npt.NDArray[Any]]:
        """Return score name -> (K) values, besides F1 and numbers of objects."""

    def curves(self) -> dict[str, Any]:
        """Return further entries of scores.json."""
        return {}

    @property
    def num_images(self) -> int:
        """Number of scored images."""
        return self.counts.num_images

    def items(self) -> Iterator[tuple[str, float]]:
        """Yield score name -> value, as validation logs them."""
        yield from self.overall().items()
        by_class = by_class_name(self.labels.names, {self.precision_name: self.precision.by_class})
        yield from as_floats(by_class).items()

    def to_dict(self) -> dict[str, Any]:
        """Return the content of scores.json, without the split."""
        counts = self.counts
        columns = {
            **self.by_class(),
            "f1": counts.matches.f1_by_class,
            "objects": counts.num_true,
            "found_objects": counts.num_found,
        }
        return {
            "task": self.task,
            "num_images": counts.num_images,
            "classes": class_rows(self.labels.names, columns),
            **self.overall(),
            **counts.matches.rows(),
            **self.curves(),
            "notes": list(self._notes()),
            "intervals": dict(self.intervals),
            "per_image": {name: asdict(spread) for name, spread in counts.per_image.items()},
        }

    def _notes(self) -> Iterator[str]:
        """Yield what makes the scores undefined or misleading on these images."""
        counts, precision = self.counts, self.precision
        total = int(counts.num_found.sum())
        unknown = (counts.num_true == 0) & (counts.matches.f1_by_class == 0)
        if not counts.num_true.any():
            yield "The truth has no object, so that AP and recall are undefined."
        elif extra := [self.labels.names[k] for k in np.flatnonzero(unknown)]:
            yield (
                f"Found, but not in the truth: {some_names(extra)}. AP leaves these classes out, so it does "
                "not count their objects as wrong; F1 does."
            )
        if precision.num_crowded:
            images = count_words(precision.num_crowded, "image")
            yield (
                f"AP counts at most {MOST_DETECTIONS} found objects of a class in an image, as COCO does. "
                f"{images} {'has' if precision.num_crowded == 1 else 'have'} more true ones, up to "
                f"{precision.most_objects}, so that AP cannot reach 1. The AP of all found objects is "
                f"{precision.ap_of_all:.3f}."
            )
        if total and counts.highest_score < SCORE_THRESHOLD:
            yield (
                f"No found object has a score of {SCORE_THRESHOLD:g} or more, so F1, precision, recall and "
                "count error ignore all of them."
            )
        if total > 1 and counts.lowest_score == counts.highest_score:
            yield (
                f"All found objects have the same score, {counts.highest_score:g}. AP depends on the order "
                "of scores and says little here; F1 does not."
            )
