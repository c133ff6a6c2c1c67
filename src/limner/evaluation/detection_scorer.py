"""Scoring of boxes: COCO's and VOC's average precision, FROC, confusions, and the F1 of each image.

Shape legend: K classes.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.boxes import Boxes
from limner.core.labels import LabelTable
from limner.core.prediction import SCORE_THRESHOLD, BoxPrediction
from limner.core.sample import Sample
from limner.evaluation.object_scorer import ObjectScorer
from limner.evaluation.object_scores import ObjectImageScores, ObjectScores
from limner.evaluation.scores_file import as_floats
from limner.metrics.average_precision import AveragePrecision, PrecisionScores
from limner.metrics.confusion import Counts
from limner.metrics.froc import Froc
from limner.metrics.object_confusion import count_confused_boxes
from limner.metrics.object_overlaps import FoundObjects, compare_boxes
from limner.metrics.spread import Interval
from limner.metrics.voc_precision import VocPrecision


@dataclass(frozen=True)
class DetectionScores(ObjectScores):
    """The scores of a whole dataset.

    Attributes:
        boxes: COCO's average precision and recall.
        voc: (K) VOC's AP of each class at an IoU of 0.5.
        froc: Sensitivity for tolerated numbers of false boxes.
        confusion: (K + 1, K + 1) of the boxes with a score of 0.5 or more, rows truth and columns prediction,
            the last of each nothing.
    """

    boxes: PrecisionScores
    voc: npt.NDArray[np.float64]
    froc: Froc
    confusion: Counts

    task = "detection"
    precision_name = "box_ap"

    @property
    def precision(self) -> PrecisionScores:
        """COCO's average precision."""
        return self.boxes

    def overall(self) -> dict[str, float]:
        """Return score name -> value over all classes."""
        known = self.voc[~np.isnan(self.voc)]
        others = {"voc_ap50": float(known.mean()) if known.size else math.nan, "froc": self.froc.mean}
        precisions = self.boxes.overall("box_") | self.boxes.recalls("box_")
        return precisions | others | as_floats(self.counts.matches.overall())

    def by_class(self) -> dict[str, npt.NDArray[Any]]:
        """Return score name -> (K) values, besides F1 and numbers of objects."""
        return {"box_ap": self.boxes.by_class, "box_ap50": self.boxes.by_class_50, "voc_ap50": self.voc}

    def curves(self) -> dict[str, Any]:
        """Return the FROC curve and the confusions."""
        return {"froc_curve": self.froc.rows(), "object_confusion": self.confusion.tolist()}


class DetectionScorer(ObjectScorer):
    """Accumulates scores of predicted boxes against true ones.

    Args:
        labels: The classes.
        uncertainty: Whether to compute distributions over the images and confidence intervals; stores the
            names of the images.
    """

    def __init__(self, labels: LabelTable, *, uncertainty: bool = False) -> None:
        super().__init__(labels, uncertainty=uncertainty)
        num_classes = labels.num_classes
        self._boxes = AveragePrecision(num_classes, kind="boxes")
        self._voc = VocPrecision(num_classes)
        self._confusion = np.zeros((num_classes + 1, num_classes + 1), np.int64)

    def score(self, prediction: BoxPrediction, sample: Sample) -> ObjectImageScores:
        """Add one image, and return its scores."""
        truth = sample.get(Boxes)
        assert truth is not None, "boxes are scored against boxes"
        truth = truth.select(truth.areas > 0)
        xyxy, labels, scores = prediction.xyxy, prediction.labels, prediction.scores
        compared = compare_boxes([truth.with_crowds(labels)], [FoundObjects(xyxy, labels, scores)])
        matches = self._boxes.add(compared, least_score=SCORE_THRESHOLD)
        self._voc.add(compared)
        is_sure = scores >= SCORE_THRESHOLD
        self._confusion += count_confused_boxes(
            truth, xyxy[is_sure], labels[is_sure], num_classes=self.labels.num_classes
        )
        true = truth.labels[~truth.is_ignored]
        return self._count(prediction.name, matches, true=true, found=labels, scores=scores)

    def merge(self, other: "DetectionScorer") -> None:
        """Add the counts of another scorer of the same classes."""
        super().merge(other)
        self._boxes.merge(other._boxes)
        self._voc.merge(other._voc)
        self._confusion += other._confusion

    def compute(self) -> DetectionScores:
        """Return the scores of all images so far."""
        return DetectionScores(
            self.labels,
            self._counted(),
            self._intervals(),
            self._boxes.compute(),
            self._voc.by_class(),
            self._boxes.froc(),
            self._confusion.copy(),
        )

    def _intervals(self) -> dict[str, Interval]:
        of_matches = self._intervals_of_matches()
        if not of_matches:
            return {}
        return {f"box_{name}": ends for name, ends in self._intervals_of(self._boxes).items()} | of_matches
