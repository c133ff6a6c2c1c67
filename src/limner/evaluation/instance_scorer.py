"""Scoring of objects: COCO's average precision, and the F1 of each image.

Shape legend: K classes.
"""

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from limner.core.labels import LabelTable
from limner.core.prediction import SCORE_THRESHOLD, SegmentPrediction
from limner.core.sample import Sample
from limner.core.segments import Segments
from limner.evaluation.object_scorer import ObjectScorer
from limner.evaluation.object_scores import ObjectImageScores, ObjectScores
from limner.evaluation.scores_file import as_floats
from limner.metrics.average_precision import AveragePrecision, PrecisionScores
from limner.metrics.spread import Interval


@dataclass(frozen=True)
class InstanceScores(ObjectScores):
    """The scores of a whole dataset.

    Attributes:
        masks: Average precision of the masks.
        boxes: Average precision of their bounding boxes.
    """

    masks: PrecisionScores
    boxes: PrecisionScores

    task = "instance"
    precision_name = "ap"

    @property
    def precision(self) -> PrecisionScores:
        """The average precision of the masks."""
        return self.masks

    def overall(self) -> dict[str, float]:
        """Return score name -> value over all classes."""
        precisions = self.masks.overall() | self.masks.recalls() | self.boxes.overall("box_")
        return precisions | as_floats(self.counts.matches.overall())

    def by_class(self) -> dict[str, npt.NDArray[Any]]:
        """Return score name -> (K) values, besides F1 and numbers of objects."""
        return {"ap": self.masks.by_class, "ap50": self.masks.by_class_50, "box_ap": self.boxes.by_class}


class InstanceScorer(ObjectScorer):
    """Accumulates scores of predicted objects against true ones.

    Args:
        labels: The countable classes.
        uncertainty: Whether to compute distributions over the images and confidence intervals; stores the
            names of the images.
    """

    def __init__(self, labels: LabelTable, *, uncertainty: bool = False) -> None:
        super().__init__(labels, uncertainty=uncertainty)
        self._masks = AveragePrecision(labels.num_classes, kind="masks")
        self._boxes = AveragePrecision(labels.num_classes, kind="boxes")

    def score(self, prediction: SegmentPrediction, sample: Sample) -> ObjectImageScores:
        """Add one image, and return its scores."""
        truth = sample.get(Segments)
        assert truth is not None, "objects are scored against objects"
        masks, labels, scores = prediction.masks, prediction.labels, prediction.scores
        truth = truth.with_crowds(labels)
        matches = self._masks.update(
            truth, masks=masks, labels=labels, scores=scores, least_score=SCORE_THRESHOLD
        )
        self._boxes.update(truth, masks=masks, labels=labels, scores=scores)
        true = truth.labels[~truth.is_crowd & (truth.areas > 0)]
        return self._count(prediction.name, matches, true=true, found=labels, scores=scores)

    def merge(self, other: "InstanceScorer") -> None:
        """Add the counts of another scorer of the same classes."""
        super().merge(other)
        self._masks.merge(other._masks)
        self._boxes.merge(other._boxes)

    def compute(self) -> InstanceScores:
        """Return the scores of all images so far."""
        return InstanceScores(
            self.labels,
            self._counted(),
            self._intervals(),
            self._masks.compute(),
            self._boxes.compute(),
        )

    def _intervals(self) -> dict[str, Interval]:
        of_matches = self._intervals_of_matches()
        if not of_matches:
            return {}
        boxes = self._boxes.intervals(self._names)
        of_boxes = {f"box_{name}": boxes[name] for name in ("ap", "ap50", "ap75")}
        return self._intervals_of(self._masks) | of_boxes | of_matches
