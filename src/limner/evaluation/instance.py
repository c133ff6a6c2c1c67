"""Found objects and true ones into COCO's average precision, and each image's F1.

Shape legend: K classes, N found objects, T true objects.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.labels import LabelTable
from limner.core.prediction import SURE, SegmentPrediction
from limner.core.sample import Sample
from limner.core.segments import Segments
from limner.metrics.average_precision import AveragePrecision, PrecisionScores

MATCH = 0.5
"""IoU from which a found object is the true one, in the F1 of an image."""


@dataclass(frozen=True)
class InstanceImageScores:
    """The scores of one image.

    Attributes:
        name: The record's name.
        f1: Of the objects found with a score of 0.5 or more, matched at an IoU of 0.5; NaN where there is
            neither a true object nor a found one.
        precision: Part of the found objects that are true.
        recall: Part of the true objects that were found.
        num_true: True objects, crowds left out.
        num_found: Objects found with a score of 0.5 or more.
    """

    name: str
    f1: float
    precision: float
    recall: float
    num_true: int
    num_found: int

    @property
    def rank(self) -> float:
        """The score that images are ordered by."""
        return self.f1

    @property
    def numbers(self) -> tuple[float, ...]:
        """One number a column."""
        return self.f1, self.precision, self.recall, self.num_true, self.num_found


@dataclass(frozen=True)
class InstanceScores:
    """The scores of a whole dataset.

    Attributes:
        labels: The classes.
        num_images: How many images were counted.
        masks: Average precision of the masks.
        boxes: Average precision of the boxes around them.
        num_true: (K) true objects, crowds left out.
        num_found: (K) found objects, whatever their score.
    """

    labels: LabelTable
    num_images: int
    masks: PrecisionScores
    boxes: PrecisionScores
    num_true: npt.NDArray[np.int64]
    num_found: npt.NDArray[np.int64]

    def items(self) -> Iterator[tuple[str, float]]:
        """Yield score name -> value, as validation logs them."""
        yield from self._overall().items()
        for index, name in enumerate(self.labels.names):
            yield f"ap/{name}", float(self.masks.by_class[index])

    def _overall(self) -> dict[str, float]:
        names = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
        masks = {name: float(getattr(self.masks, name)) for name in names}
        return masks | {f"box_{name}": float(getattr(self.boxes, name)) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """Return what scores.json holds beside the split."""
        classes = [
            {
                "name": name,
                "ap": float(self.masks.by_class[i]),
                "ap50": float(self.masks.by_class_50[i]),
                "box_ap": float(self.boxes.by_class[i]),
                "objects": int(self.num_true[i]),
                "found_objects": int(self.num_found[i]),
            }
            for i, name in enumerate(self.labels.names)
        ]
        return {"task": "instance", "num_images": self.num_images, "classes": classes} | self._overall()


class InstanceScorer:
    """Adds up found objects against true ones.

    Args:
        labels: The countable classes.
    """

    rank_title = "F1"
    columns = ("f1", "precision", "recall", "objects", "found_objects")

    def __init__(self, labels: LabelTable) -> None:
        self.labels = labels
        self.num_images = 0
        self._masks = AveragePrecision(labels.num_classes, kind="masks")
        self._boxes = AveragePrecision(labels.num_classes, kind="boxes")
        self._counts = np.zeros((2, labels.num_classes), np.int64)

    def score(self, prediction: SegmentPrediction, sample: Sample) -> InstanceImageScores:
        """Count one image, and return its own scores."""
        assert sample.segments is not None, "objects are scored against objects"
        truth = sample.segments
        masks, labels, scores = prediction.masks, prediction.labels, prediction.scores
        for metric in (self._masks, self._boxes):
            metric.update(truth, masks=masks, labels=labels, scores=scores)
        self.num_images += 1
        single = truth.labels[~truth.is_crowd & (truth.areas > 0)]
        self._counts[0] += np.bincount(single, minlength=self.labels.num_classes)
        self._counts[1] += np.bincount(prediction.labels, minlength=self.labels.num_classes)
        return image_scores(truth, prediction)

    def merge(self, other: "InstanceScorer") -> None:
        """Add what another scorer of the same classes has counted."""
        assert self.labels.names == other.labels.names
        self._masks.merge(other._masks)
        self._boxes.merge(other._boxes)
        self._counts += other._counts
        self.num_images += other.num_images

    def compute(self) -> InstanceScores:
        """Return the scores of everything counted so far."""
        num_true, num_found = self._counts.copy()
        return InstanceScores(
            self.labels, self.num_images, self._masks.compute(), self._boxes.compute(), num_true, num_found
        )


def image_scores(truth: Segments, prediction: SegmentPrediction) -> InstanceImageScores:
    """Match the surer objects to the true ones of their class, the surest first; crowds are left out."""
    truth = truth.kept(~truth.is_crowd & (truth.areas > 0))
    sure = prediction.scores >= SURE
    masks, labels = prediction.masks[sure], prediction.labels[sure]
    open_ones, hits = np.ones(len(truth), bool), 0
    true_masks, areas = truth.masks(), truth.areas
    for mask, label in zip(masks, labels, strict=True):
        shared = true_masks[:, mask].sum(1)
        iou = shared / np.maximum(areas + mask.sum() - shared, 1)
        iou[~open_ones | (truth.labels != label)] = 0
        if len(iou) and iou.max() >= MATCH:
            open_ones[iou.argmax()] = False
            hits += 1
    total = len(truth) + len(masks)
    return InstanceImageScores(
        name=prediction.name,
        f1=2 * hits / total if total else float("nan"),
        precision=hits / len(masks) if len(masks) else float("nan"),
        recall=hits / len(truth) if len(truth) else float("nan"),
        num_true=len(truth),
        num_found=len(masks),
    )
