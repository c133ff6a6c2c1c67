"""What the scorers of objects, with masks or with boxes, have in common.

Shape legend: K classes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from limner.core.labels import LabelTable
from limner.core.prediction import SCORE_THRESHOLD
from limner.core.wording import count_words
from limner.evaluation.scores_file import some_names
from limner.metrics.average_precision import MOST_DETECTIONS, PrecisionScores
from limner.metrics.confusion import Counts
from limner.metrics.segment_matches import MISSED, RIGHT, WRONG, MatchScores, match_scores

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


def object_notes(
    labels: LabelTable,
    matches: MatchScores,
    precision: PrecisionScores,
    *,
    num_true: Counts,
    num_found: Counts,
    lowest_score: float,
    highest_score: float,
) -> Iterator[str]:
    """Yield what makes scores of objects undefined or misleading on these images.

    Args:
        labels: The classes.
        matches: Match scores of the objects with a score of 0.5 or more.
        precision: Their average precision.
        num_true: (K) numbers of true objects.
        num_found: (K) numbers of found objects with any score.
        lowest_score: Lowest score of a found object; infinite if none was found.
        highest_score: Highest score of a found object.
    """
    total = int(num_found.sum())
    if not num_true.any():
        yield "The truth has no object, so that AP and recall are undefined."
    elif extra := [labels.names[k] for k in np.flatnonzero((num_true == 0) & (matches.f1_by_class == 0))]:
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
    if total and highest_score < SCORE_THRESHOLD:
        yield (
            f"No found object has a score of {SCORE_THRESHOLD:g} or more, so F1, precision, recall and "
            "count error ignore all of them."
        )
    if total > 1 and lowest_score == highest_score:
        yield (
            f"All found objects have the same score, {highest_score:g}. AP depends on the order of "
            "scores and says little here; F1 does not."
        )
