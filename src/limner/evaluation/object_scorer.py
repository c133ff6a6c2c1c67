"""What the scorers of objects, with masks or with boxes, have in common.

Shape legend: K classes, N found objects, T true objects.
"""

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.labels import LabelTable
from limner.core.sample import Sample
from limner.core.score_names import SCORES
from limner.evaluation.object_scores import IMAGE_COLUMNS, ObjectCounts, ObjectImageScores, ObjectScores
from limner.evaluation.scores_file import by_class_name
from limner.evaluation.uncertainty import Uncertainty
from limner.metrics.average_precision import AveragePrecision
from limner.metrics.confusion import Counts, Overall
from limner.metrics.segment_matches import empty_counts, match_scores
from limner.metrics.spread import Interval


class ObjectScorer(ABC):
    """Accumulates scores of predicted objects against true ones.

    Args:
        labels: The countable classes.
        uncertainty: Whether to compute distributions over the images and confidence intervals; stores the
            names of the images.
    """

    rank_title = SCORES["f1"].column
    columns = IMAGE_COLUMNS

    def __init__(self, labels: LabelTable, *, uncertainty: bool = False) -> None:
        self.labels = labels
        self.num_images = 0
        self._matches = empty_counts(labels.num_classes)
        self._names: list[str] = []
        self._uncertainty = Uncertainty(self._named, shape=self._matches.shape) if uncertainty else None
        self._counts = np.zeros((2, labels.num_classes), np.int64)
        self._lowest, self._highest = math.inf, -math.inf

    @abstractmethod
    def score(self, prediction: Any, sample: Sample) -> ObjectImageScores:  # noqa: ANN401 - of the task
        """Add one image, and return its scores."""

    @abstractmethod
    def compute(self) -> ObjectScores:
        """Return the scores of all images so far."""

    def merge(self, other: Any) -> None:  # noqa: ANN401 - of the same class
        """Add the counts of another scorer of the same classes."""
        assert self.labels.names == other.labels.names
        self._counts += other._counts
        self._matches += other._matches
        self._names += other._names
        self._lowest, self._highest = min(self._lowest, other._lowest), max(self._highest, other._highest)
        self.num_images += other.num_images
        if self._uncertainty is not None and other._uncertainty is not None:
            self._uncertainty.merge(other._uncertainty)

    def _count(
        self,
        name: str,
        matches: Counts,
        *,
        true: npt.NDArray[np.int64],
        found: npt.NDArray[np.int64],
        scores: npt.NDArray[np.float32],
    ) -> ObjectImageScores:
        """Add the counts of one image, and return its scores.

        Args:
            name: The record's name.
            matches: Match counts of the objects with a score of 0.5 or more.
            true: (T) labels of the true objects that count.
            found: (N) labels of all found objects.
            scores: (N) their scores.
        """
        self.num_images += 1
        self._counts[0] += np.bincount(true, minlength=self.labels.num_classes)
        self._counts[1] += np.bincount(found, minlength=self.labels.num_classes)
        self._matches += matches
        self._lowest = min(self._lowest, float(scores.min(initial=math.inf)))
        self._highest = max(self._highest, float(scores.max(initial=-math.inf)))
        if self._uncertainty is not None:
            self._names.append(name)
            self._uncertainty.update(name, matches)
        return ObjectImageScores.of(name, matches)

    def _counted(self) -> ObjectCounts:
        """Return what was counted of all images so far."""
        num_true, num_found = self._counts.copy()
        return ObjectCounts(
            self.num_images,
            num_true,
            num_found,
            match_scores(self._matches),
            self._lowest,
            self._highest,
            {} if self._uncertainty is None else self._uncertainty.spreads(),
        )

    def _intervals_of_matches(self) -> dict[str, Interval]:
        """Return the intervals of match scores; empty if not asked for, or with too few images."""
        return {} if self._uncertainty is None else self._uncertainty.intervals()

    def _intervals_of(self, precision: AveragePrecision) -> dict[str, Interval]:
        """Return the intervals of average precisions, those of classes under the names of the classes."""
        names = {f"ap/{k}": f"ap/{name}" for k, name in enumerate(self.labels.names)}
        return {names.get(key, key): ends for key, ends in precision.intervals(self._names).items()}

    def _named(self, counts: Counts) -> dict[str, Overall]:
        """Return scores by name, from (rows, ..., K) counts of an image or of bootstrap replicates."""
        found = match_scores(counts)
        return found.overall() | by_class_name(self.labels.names, {"f1": found.f1_by_class})
