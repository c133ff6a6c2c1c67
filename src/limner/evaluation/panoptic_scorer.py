"""Scoring of panoptic segments: panoptic quality.

Shape legend: K classes.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.labels import LabelTable
from limner.core.prediction import PanopticPrediction
from limner.core.sample import Sample
from limner.core.score_names import SCORES
from limner.core.segments import Segments
from limner.evaluation.scores_file import as_floats, by_class_name, class_rows, some_names
from limner.evaluation.uncertainty import Uncertainty
from limner.metrics.confusion import Overall
from limner.metrics.panoptic_quality import NUM_SUMS, PanopticQuality, QualityScores, quality_scores
from limner.metrics.segment_matches import NUM_ROWS, MatchScores, match_scores
from limner.metrics.spread import Interval, Spread

OWN = ("f1_75", "count_")
"""Prefixes of match scores to report besides panoptic quality; its RQ already is the F1 at an IoU of 0.5."""


@dataclass(frozen=True)
class PanopticImageScores:
    """The scores of one image: panoptic quality of its own segments, averaged over its classes."""

    name: str
    quality: QualityScores

    @property
    def rank(self) -> float:
        """The score that images are ordered by."""
        return float(self.quality.mean("pq"))

    @property
    def numbers(self) -> tuple[float, ...]:
        """One number per column."""
        quality = self.quality
        means = (quality.mean("pq"), quality.mean("sq"), quality.mean("rq"))
        groups = (quality.mean("pq", things=True), quality.mean("pq", things=False))
        kinds = (quality.true_positives, quality.false_positives, quality.false_negatives)
        return *map(float, (*means, *groups)), *(int(count.sum()) for count in kinds)


@dataclass(frozen=True)
class PanopticScores:
    """The scores of a whole dataset.

    Attributes:
        labels: The classes.
        num_images: Number of scored images.
        quality: PQ, SQ and RQ by class.
        matches: Match scores at several IoUs, and count errors of the countable classes.
        intervals: Score name -> its 95 % bootstrap interval over images.
        per_image: Score name -> its distribution over the images.
    """

    labels: LabelTable
    num_images: int
    quality: QualityScores
    matches: MatchScores
    intervals: dict[str, Interval] = field(default_factory=dict)
    per_image: dict[str, Spread] = field(default_factory=dict)

    def items(self) -> Iterator[tuple[str, float]]:
        """Yield score name -> value, as validation logs them."""
        yield from as_floats(named_quality(self.labels, self.quality, self.matches)).items()

    def to_dict(self) -> dict[str, Any]:
        """Return the content of scores.json, without the split."""
        names = ("is_thing", "pq", "sq", "rq", "true_positives", "false_positives", "false_negatives")
        named = as_floats(named_quality(self.labels, self.quality, self.matches))
        return {
            "task": "panoptic",
            "num_images": self.num_images,
            "classes": class_rows(self.labels.names, {n: getattr(self.quality, n) for n in names}),
            **{name: value for name, value in named.items() if "/" not in name},
            **self.matches.rows(),
            "notes": list(self._notes()),
            "intervals": self.intervals,
            "per_image": {name: asdict(spread) for name, spread in self.per_image.items()},
        }

    def _notes(self) -> Iterator[str]:
        """Yield what makes scores undefined or misleading on these images."""
        quality = self.quality
        true = quality.true_positives + quality.false_negatives
        if not true.any():
            yield "The truth has no segment: scores only tell whether something was predicted."
        elif extra := [
            self.labels.names[i] for i in np.flatnonzero((true == 0) & (quality.false_positives > 0))
        ]:
            yield f"Predicted, but not in the truth: {some_names(extra)}. A PQ of 0 there lowers the means."


def named_quality(labels: LabelTable, quality: QualityScores, matches: MatchScores) -> dict[str, Overall]:
    """Return score name -> (...) values: scores over groups of classes, then ``pq/CLASS``.

    Match scores at an IoU of 0.5 are omitted, since RQ is the same.
    """
    own = {name: value for name, value in matches.overall().items() if name.startswith(OWN)}
    return quality.overall() | own | by_class_name(labels.names, {"pq": quality.pq})


class PanopticScorer:
    """Accumulates scores of predicted segments against true ones.

    Args:
        labels: The classes, things and stuff.
        uncertainty: Whether to compute distributions over the images and confidence intervals.
    """

    rank_title = SCORES["pq"].column
    columns = ("pq", "sq", "rq", "pq_things", "pq_stuff", "right", "false_positives", "false_negatives")

    def __init__(self, labels: LabelTable, *, uncertainty: bool = False) -> None:
        self.labels = labels
        self.num_images = 0
        self._quality = PanopticQuality(labels.is_thing)
        shape = (NUM_SUMS + NUM_ROWS, labels.num_classes)
        self._uncertainty = Uncertainty(self._named, shape=shape, dtype=np.float64) if uncertainty else None

    def score(self, prediction: PanopticPrediction, sample: Sample) -> PanopticImageScores:
        """Add one image, and return its scores."""
        truth = sample.get(Segments)
        assert truth is not None, "segments are scored against segments"
        self.num_images += 1
        single = self._quality.update(truth, prediction)
        if self._uncertainty is not None:
            self._uncertainty.update(prediction.name, np.concatenate([single.sums, single.matches]))
        return PanopticImageScores(prediction.name, single.compute())

    def _named(self, sums: npt.NDArray[np.float64]) -> dict[str, Overall]:
        """Return scores by name, from (rows, ..., K) sums of an image or of bootstrap replicates."""
        quality = quality_scores(sums[:NUM_SUMS], self.labels.is_thing)
        matches = match_scores(sums[NUM_SUMS:].astype(np.int64), self.labels.is_thing)
        return named_quality(self.labels, quality, matches)

    def merge(self, other: "PanopticScorer") -> None:
        """Add the counts of another scorer of the same classes."""
        assert self.labels.names == other.labels.names
        self._quality.merge(other._quality)
        self.num_images += other.num_images
        if self._uncertainty is not None and other._uncertainty is not None:
            self._uncertainty.merge(other._uncertainty)

    def compute(self) -> PanopticScores:
        """Return the scores of all images so far."""
        matches = match_scores(self._quality.matches, self.labels.is_thing)
        quality, follows = self._quality.compute(), self._uncertainty
        intervals, spreads = ({}, {}) if follows is None else (follows.intervals(), follows.spreads())
        return PanopticScores(self.labels, self.num_images, quality, matches, intervals, spreads)
