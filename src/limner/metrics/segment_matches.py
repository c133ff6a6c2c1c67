"""Scores of matched segments: F1 at several IoUs, the IoUs of matches, and counting errors.

Everything is computed from integer counts that are additive over images, so images can be shared among
workers and resampled for intervals.

Shape legend: K classes, T thresholds, R rows of counts; axes (...) between rows and classes are kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from limner.metrics.confusion import Counts, Overall, PerClass, ratio
from limner.metrics.object_matching import MatchedObjects

IOUS = tuple(float(f"{0.5 + 0.05 * i:.2f}") for i in range(10))
"""IoU thresholds for a match: 0.50, 0.55, ..., 0.95, as in COCO's AP."""

RIGHT, WRONG, MISSED, BINS = (slice(len(IOUS) * i, len(IOUS) * (i + 1)) for i in range(4))
"""Rows of the counts: at each IoU the matched pairs, the unmatched predicted segments, and the unmatched true
ones; then the pairs matched at 0.5 by their IoU, in ranges that start at `IOUS`."""

OFF, IMAGES = 4 * len(IOUS), 4 * len(IOUS) + 1
"""Rows of the absolute counting errors of the images, and of the number of images."""

NUM_ROWS = 4 * len(IOUS) + 2


@dataclass(frozen=True)
class MatchScores:
    """Scores of matched segments; NaN if there is neither a true nor a predicted segment.

    Attributes:
        f1: (T, ...) twice the matched pairs over the predicted plus the true segments, all classes pooled.
        precision: (T, ...) fraction of the predicted segments that match.
        recall: (T, ...) fraction of the true segments that match.
        f1_by_class: (..., K) F1 at an IoU of 0.5.
        pairs: (T, ...) matched pairs with an IoU from each of `IOUS` up to the next.
        count_error: (...) mean absolute difference between the numbers of predicted and true segments of an
            image; summed over classes.
        count_bias: (...) the same with sign: positive if too many are predicted.
    """

    f1: PerClass
    precision: PerClass
    recall: PerClass
    f1_by_class: PerClass
    pairs: Counts
    count_error: Overall
    count_bias: Overall

    def overall(self) -> dict[str, Overall]:
        """Return the scores over all classes by name."""
        return {
            "f1": self.f1[0],
            "f1_75": self.f1[IOUS.index(0.75)],
            "precision": self.precision[0],
            "recall": self.recall[0],
            "count_error": self.count_error,
            "count_bias": self.count_bias,
        }

    def rows(self) -> dict[str, list[dict[str, float]]]:
        """Return F1, precision and recall at each IoU, and the histogram of the matched IoUs, as rows."""
        by_iou = zip(IOUS, self.f1.tolist(), self.precision.tolist(), self.recall.tolist(), strict=True)
        bars = zip(IOUS, (*IOUS[1:], 1.0), self.pairs.tolist(), strict=True)
        return {
            "f1_by_iou": [
                {"iou": iou, "f1": f1, "precision": precision, "recall": recall}
                for iou, f1, precision, recall in by_iou
            ],
            "matched_iou": [{"low": low, "high": high, "pairs": pairs} for low, high, pairs in bars],
        }


def match_scores(counts: Counts, counted: npt.NDArray[np.bool_] | None = None) -> MatchScores:
    """Compute the scores of counts.

    Args:
        counts: (R, ..., K), of one image or summed over many.
        counted: (K) classes whose count is meaningful; defaults to all.
    """
    right, wrong, missed = (counts[rows].sum(-1) for rows in (RIGHT, WRONG, MISSED))
    by_class = [counts[rows.start] for rows in (RIGHT, WRONG, MISSED)]
    kept = np.ones(counts.shape[-1], bool) if counted is None else counted
    images = counts[IMAGES].max(-1, initial=0) * bool(kept.any())  # without a class, nothing is counted
    bias = (by_class[1] - by_class[2])[..., kept].sum(-1)
    return MatchScores(
        f1=ratio(2 * right, 2 * right + wrong + missed),
        precision=ratio(right, right + wrong),
        recall=ratio(right, right + missed),
        f1_by_class=ratio(2 * by_class[0], 2 * by_class[0] + by_class[1] + by_class[2]),
        pairs=counts[BINS].sum(-1),
        count_error=ratio(counts[OFF][..., kept].sum(-1), images),
        count_bias=ratio(bias, images),
    )


def empty_counts(num_classes: int) -> Counts:
    """Return the counts of zero images."""
    return np.zeros((NUM_ROWS, num_classes), np.int64)


def count_matches(
    matched: Mapping[int, Counts],
    ious: Mapping[int, npt.NDArray[np.float64]],
    *,
    num_true: Counts,
    num_found: npt.NDArray[np.int64],
) -> Counts:
    """Return the counts of one image.

    Args:
        matched: Class -> (T) matched pairs at each of `IOUS`.
        ious: Class -> the IoU of each pair matched at 0.5.
        num_true: (K) numbers of true segments, without crowds.
        num_found: (T, K) numbers of predicted segments, without those in crowds or on void.
    """
    counts = empty_counts(len(num_true))
    for k, pairs in matched.items():
        counts[RIGHT, k] = pairs
    for k, values in ious.items():
        counts[BINS, k] = np.bincount(_bins(values), minlength=len(IOUS))
    return _completed(counts, num_true, num_found)


def object_match_counts(matches: MatchedObjects, *, num_classes: int, least_score: float) -> Counts:
    """Return the counts of an image from its matched objects of all sizes.

    Objects are matched in order of decreasing score, so omitting those with low scores changes no other
    match.

    Args:
        matches: The matches of one image.
        num_classes: K.
        least_score: Objects with lower scores are omitted.
    """
    is_sure = matches.scores >= least_score
    is_right, is_excused = matches.is_right[0], matches.is_excused[0]
    of_class = (matches.labels[:, None] == np.arange(num_classes)).astype(np.int64)  # (N, K)
    counts = empty_counts(num_classes)
    counts[RIGHT] = (is_right & is_sure) @ of_class
    pairs = np.flatnonzero(is_right[0] & is_sure)
    np.add.at(counts[BINS], (_bins(matches.ious[pairs]), matches.labels[pairs]), 1)
    num_true = np.bincount(matches.true_labels[matches.counts[0]], minlength=num_classes)
    return _completed(counts, num_true, (~is_excused & is_sure) @ of_class)


def _bins(ious: npt.NDArray[np.float64]) -> Counts:
    """Return the number of the range in which each IoU is."""
    # The bin edges are rounded: an IoU of exactly 0.6 belongs to the range that starts there.
    return np.asarray(np.searchsorted(np.asarray(IOUS) - 1e-9, ious, side="right") - 1, np.int64)


def _completed(counts: Counts, num_true: Counts, num_found: Counts) -> Counts:
    """Fill in the rows that follow from the numbers of matches, of true and of found segments."""
    counts[WRONG] = num_found - counts[RIGHT]
    counts[MISSED] = num_true - counts[RIGHT]
    counts[OFF] = np.abs(counts[WRONG][0] - counts[MISSED][0])
    counts[IMAGES] = 1
    return counts
