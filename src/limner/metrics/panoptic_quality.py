"""Panoptic quality (Kirillov et al., CVPR 2019), as running sums; arithmetic of COCO's panopticapi.

Shape legend: K classes, T true segments, P predicted segments.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from limner.core.prediction import PanopticPrediction
from limner.core.segments import Segments

PerClass = npt.NDArray[np.float64]

MATCH = 0.5
"""Segments of one class with a larger IoU belong together; none can have two such partners."""


@dataclass(frozen=True)
class QualityScores:
    """What the sums say; a class that is in neither truth nor prediction has NaN and counts in no mean.

    Attributes:
        pq: (K) panoptic quality: the product of the other two.
        sq: (K) segmentation quality: the mean IoU of the matched segments; 0 where none is.
        rq: (K) recognition quality: TP / (TP + FP / 2 + FN / 2), the F1 score of the segments.
        true_positives: (K) matched pairs.
        false_positives: (K) predicted segments without a partner.
        false_negatives: (K) true segments without a partner.
        is_thing: (K) whether the class is of countable objects.
    """

    pq: PerClass
    sq: PerClass
    rq: PerClass
    true_positives: npt.NDArray[np.int64]
    false_positives: npt.NDArray[np.int64]
    false_negatives: npt.NDArray[np.int64]
    is_thing: npt.NDArray[np.bool_]

    def mean(self, name: str, *, things: bool | None = None) -> float:
        """Return the mean of ``pq``, ``sq`` or ``rq`` over the classes, the things or the stuff."""
        values: PerClass = getattr(self, name)
        chosen = ~np.isnan(values)
        if things is not None:
            chosen &= self.is_thing == things
        return float(values[chosen].mean()) if chosen.any() else float("nan")


class PanopticQuality:
    """Adds up predicted segments against true ones; its size depends on K alone.

    Args:
        is_thing: (K) whether each class is of countable objects.
    """

    def __init__(self, is_thing: npt.NDArray[np.bool_]) -> None:
        self.is_thing = is_thing
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.iou: PerClass = np.zeros(len(self.is_thing))
        # Rows: true positives, false positives, false negatives.
        self.counts = np.zeros((3, len(self.is_thing)), np.int64)

    def update(self, truth: Segments, prediction: PanopticPrediction) -> QualityScores:
        """Count one image, and return its own scores.

        Pixels in no true segment are void: nothing predicted there is wrong. Nor is a prediction of which
        more than half lies on void and on crowds of its own class.

        Args:
            truth: With trained labels; where segments overlap, the smaller one counts.
            prediction: Of the same size.
        """
        single = PanopticQuality(self.is_thing)
        single._count(truth, prediction)
        self.merge(single)
        return single.compute()

    def merge(self, other: "PanopticQuality") -> None:
        """Add what another one of the same classes has counted."""
        assert np.array_equal(self.is_thing, other.is_thing)
        self.iou += other.iou
        self.counts += other.counts

    def compute(self) -> QualityScores:
        """Return the scores of everything counted so far."""
        matched, extra, missed = self.counts
        there = self.counts.any(0)
        rq = np.full(len(self.iou), np.nan)
        np.divide(matched, matched + extra / 2 + missed / 2, out=rq, where=there)
        sq = np.where(there, 0.0, np.nan)
        np.divide(self.iou, matched, out=sq, where=matched > 0)
        return QualityScores(rq * sq, sq, rq, matched.copy(), extra.copy(), missed.copy(), self.is_thing)

    def _count(self, truth: Segments, prediction: PanopticPrediction) -> None:
        shared = _shared_pixels(truth, prediction)
        true_area, found_area = shared.sum(1), shared.sum(0)
        same = truth.labels[:, None] == prediction.labels[None]
        # What of a prediction lies on void is taken out of the union.
        union = true_area[1:, None] + found_area[None, 1:] - shared[1:, 1:] - shared[None, 0, 1:]
        iou = np.where(same & (union > 0), shared[1:, 1:] / np.maximum(union, 1), 0.0)
        pairs = (iou > MATCH) & ~truth.is_crowd[:, None]
        np.add.at(self.iou, prediction.labels[pairs.nonzero()[1]], iou[pairs])
        np.add.at(self.counts[0], prediction.labels[pairs.nonzero()[1]], 1)
        on_crowd = (shared[1:, 1:] * (same & truth.is_crowd[:, None])).sum(0)
        excused = shared[0, 1:] + on_crowd > MATCH * found_area[1:]
        extra = ~pairs.any(0) & ~excused & (found_area[1:] > 0)
        missed = ~pairs.any(1) & ~truth.is_crowd & (true_area[1:] > 0)
        np.add.at(self.counts[1], prediction.labels[extra], 1)
        np.add.at(self.counts[2], truth.labels[missed], 1)


def _shared_pixels(truth: Segments, prediction: PanopticPrediction) -> npt.NDArray[np.int64]:
    """Return (T + 1, P + 1) pixels that two segments share; number 0 is none."""
    width = len(prediction.labels) + 1
    pairs = truth.flat().astype(np.int64) * width + prediction.segment_ids
    return np.bincount(pairs.ravel(), minlength=(len(truth) + 1) * width).reshape(-1, width)
