"""Panoptic quality (Kirillov et al., CVPR 2019), as running sums; the computation of COCO's panopticapi.

Shape legend: K classes, T true segments, P predicted segments; leading axes (...) of sums are kept.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from limner.core.prediction import PanopticPrediction
from limner.core.segments import Segments
from limner.metrics.confusion import Counts, Overall, PerClass, mean_of_present
from limner.metrics.segment_matches import IOUS, count_matches, empty_counts

MATCH = 0.5
"""Segments of one class with a larger IoU match; a segment can have only one such match."""

NUM_SUMS = 4
"""Rows of the sums: IoU of matched pairs; matched pairs; unmatched predicted and true segments."""


@dataclass(frozen=True)
class QualityScores:
    """Panoptic scores; NaN for a class in neither truth nor prediction, which is excluded from means.

    Attributes:
        pq: (..., K) panoptic quality: the product of the other two.
        sq: (..., K) segmentation quality: the mean IoU of the matched segments; 0 if there are none.
        rq: (..., K) recognition quality: TP / (TP + FP / 2 + FN / 2), the F1 score of the segments.
        true_positives: (..., K) matched pairs.
        false_positives: (..., K) predicted segments without a match.
        false_negatives: (..., K) true segments without a match.
        is_thing: (K) whether the class is countable.
    """

    pq: PerClass
    sq: PerClass
    rq: PerClass
    true_positives: npt.NDArray[np.int64]
    false_positives: npt.NDArray[np.int64]
    false_negatives: npt.NDArray[np.int64]
    is_thing: npt.NDArray[np.bool_]

    def mean(self, name: str, *, things: bool | None = None) -> Overall:
        """Return the mean of ``pq``, ``sq`` or ``rq`` over the classes, the things or the stuff."""
        values: PerClass = getattr(self, name)
        return mean_of_present(values if things is None else values[..., self.is_thing == things])

    def overall(self) -> dict[str, Overall]:
        """Return the means over all classes, over the things and over the stuff, by name."""
        groups: dict[str, bool | None] = {"": None, "_things": True, "_stuff": False}
        return {
            f"{name}{suffix}": self.mean(name, things=things)
            for suffix, things in groups.items()
            for name in ("pq", "sq", "rq")
        }


class PanopticQuality:
    """Accumulates matches of predicted and true segments; its size depends only on K.

    Args:
        is_thing: (K) whether each class is countable.
    """

    def __init__(self, is_thing: npt.NDArray[np.bool_]) -> None:
        self.is_thing = is_thing
        self.reset()

    def reset(self) -> None:
        """Reset all sums."""
        self.iou: PerClass = np.zeros(len(self.is_thing))
        # Rows: true positives, false positives, false negatives.
        self.counts = np.zeros((3, len(self.is_thing)), np.int64)
        self.matches = empty_counts(len(self.is_thing))

    def update(self, truth: Segments, prediction: PanopticPrediction) -> "PanopticQuality":
        """Add one image, and return its own sums.

        Pixels in no true segment are void: predictions there are not counted as wrong. Nor are predicted
        segments with more than half of their area on void and on crowds of their own class.

        Args:
            truth: Segments with trained labels; where they overlap, the smaller one counts.
            prediction: Prediction of the same size.
        """
        single = PanopticQuality(self.is_thing)
        single._count(truth, prediction)
        self.merge(single)
        return single

    def merge(self, other: "PanopticQuality") -> None:
        """Add the sums of another instance with the same classes."""
        assert np.array_equal(self.is_thing, other.is_thing)
        self.iou += other.iou
        self.counts += other.counts
        self.matches += other.matches

    def compute(self) -> QualityScores:
        """Return the scores of all images so far."""
        return quality_scores(self.sums, self.is_thing)

    @property
    def sums(self) -> PerClass:
        """(4, K) sums from which the scores are computed; additive over images."""
        return np.concatenate([self.iou[None], self.counts])

    def _count(self, truth: Segments, prediction: PanopticPrediction) -> None:
        shared = _shared_pixels(truth, prediction)
        true_area, found_area = shared.sum(1), shared.sum(0)
        same = truth.labels[:, None] == prediction.labels[None]
        # The part of a prediction on void is excluded from the union.
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
        self.matches += self._matches(iou[pairs], prediction.labels[pairs.nonzero()[1]])

    def _matches(self, ious: PerClass, labels: npt.NDArray[np.int64]) -> Counts:
        """Return the match counts at each IoU; above 0.5 matches are unique."""
        of_class = {int(k): ious[labels == k] for k in np.unique(labels)}
        enough = np.asarray(IOUS)[:, None] - 1e-9
        return count_matches(
            {k: (values[None] >= enough).sum(1) for k, values in of_class.items()},
            of_class,
            num_true=self.counts[0] + self.counts[2],
            num_found=np.repeat((self.counts[0] + self.counts[1])[None], len(IOUS), 0),
        )


def quality_scores(sums: PerClass, is_thing: npt.NDArray[np.bool_]) -> QualityScores:
    """Compute the scores of sums.

    Args:
        sums: (4, ..., K) IoU of matched pairs; matched pairs; unmatched predicted and true segments.
        is_thing: (K) whether each class is countable.
    """
    iou, (matched, extra, missed) = sums[0], sums[1:].astype(np.int64)
    there = sums[1:].any(0)
    rq = np.full(iou.shape, np.nan)
    np.divide(matched, matched + extra / 2 + missed / 2, out=rq, where=there)
    sq = np.where(there, 0.0, np.nan)
    np.divide(iou, matched, out=sq, where=matched > 0)
    return QualityScores(rq * sq, sq, rq, matched, extra, missed, is_thing)


def _shared_pixels(truth: Segments, prediction: PanopticPrediction) -> npt.NDArray[np.int64]:
    """Return (T + 1, P + 1) numbers of pixels that two segments share; index 0 is no segment."""
    width = len(prediction.labels) + 1
    pairs = truth.flat().astype(np.int64) * width + prediction.segment_ids
    return np.bincount(pairs.ravel(), minlength=(len(truth) + 1) * width).reshape(-1, width)
