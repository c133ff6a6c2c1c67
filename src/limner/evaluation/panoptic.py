"""Predicted segments and true ones into panoptic quality.

Shape legend: K classes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from limner.core.labels import LabelTable
from limner.core.prediction import PanopticPrediction
from limner.core.sample import Sample
from limner.metrics.panoptic_quality import PanopticQuality, QualityScores


@dataclass(frozen=True)
class PanopticImageScores:
    """The scores of one image: panoptic quality of its own segments, averaged over its classes."""

    name: str
    quality: QualityScores

    @property
    def rank(self) -> float:
        """The score that images are ordered by."""
        return self.quality.mean("pq")

    @property
    def numbers(self) -> tuple[float, ...]:
        """One number a column."""
        quality = self.quality
        means = (quality.mean("pq"), quality.mean("sq"), quality.mean("rq"))
        return (*means, quality.mean("pq", things=True), quality.mean("pq", things=False))


@dataclass(frozen=True)
class PanopticScores:
    """The scores of a whole dataset.

    Attributes:
        labels: The classes.
        num_images: How many images were counted.
        quality: PQ, SQ and RQ by class.
    """

    labels: LabelTable
    num_images: int
    quality: QualityScores

    def items(self) -> Iterator[tuple[str, float]]:
        """Yield score name -> value, as validation logs them."""
        yield from self._overall().items()
        for index, name in enumerate(self.labels.names):
            yield f"pq/{name}", float(self.quality.pq[index])

    def _overall(self) -> dict[str, float]:
        groups: dict[str, bool | None] = {"": None, "_things": True, "_stuff": False}
        return {
            f"{name}{suffix}": self.quality.mean(name, things=things)
            for suffix, things in groups.items()
            for name in ("pq", "sq", "rq")
        }

    def to_dict(self) -> dict[str, Any]:
        """Return what scores.json holds beside the split."""
        quality = self.quality
        classes = [
            {
                "name": name,
                "is_thing": bool(quality.is_thing[i]),
                "pq": float(quality.pq[i]),
                "sq": float(quality.sq[i]),
                "rq": float(quality.rq[i]),
                "true_positives": int(quality.true_positives[i]),
                "false_positives": int(quality.false_positives[i]),
                "false_negatives": int(quality.false_negatives[i]),
            }
            for i, name in enumerate(self.labels.names)
        ]
        return {"task": "panoptic", "num_images": self.num_images, "classes": classes} | self._overall()


class PanopticScorer:
    """Adds up predicted segments against true ones.

    Args:
        labels: The classes, things and stuff.
    """

    rank_title = "PQ"
    columns = ("pq", "sq", "rq", "pq_things", "pq_stuff")

    def __init__(self, labels: LabelTable) -> None:
        self.labels = labels
        self.num_images = 0
        self._quality = PanopticQuality(labels.is_thing)

    def score(self, prediction: PanopticPrediction, sample: Sample) -> PanopticImageScores:
        """Count one image, and return its own scores."""
        assert sample.segments is not None, "segments are scored against segments"
        self.num_images += 1
        return PanopticImageScores(prediction.name, self._quality.update(sample.segments, prediction))

    def merge(self, other: "PanopticScorer") -> None:
        """Add what another scorer of the same classes has counted."""
        assert self.labels.names == other.labels.names
        self._quality.merge(other._quality)
        self.num_images += other.num_images

    def compute(self) -> PanopticScores:
        """Return the scores of everything counted so far."""
        return PanopticScores(self.labels, self.num_images, self._quality.compute())
