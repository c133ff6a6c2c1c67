"""Boundary IoU and Boundary F1, as running sums over any number of images.

Distances are chessboard distances (a diagonal step is one), as in the authors' code of Boundary IoU
(Cheng et al., 2021). Volumes are processed slice by slice.

Shape legend: K classes, H, W image size; leading axes (...) of counts, such as of replicates, are kept.
"""

from dataclasses import dataclass
from math import hypot

import cv2
import numpy as np
import numpy.typing as npt

from limner.core.labels import LabelArray, ignored_in
from limner.metrics.confusion import Counts, Overall, PerClass, mean_of_present, ratio

BAND = 0.02
"""Half width of the band of Boundary IoU, as a fraction of the image's diagonal, as in the paper."""

TOLERANCE = 0.0075
"""Distance tolerance of Boundary F1, as a fraction of the diagonal, as in Csurka et al., 2013."""

ROWS = ("band_both", "band_truth", "band_predicted", "found", "outline_truth", "right", "outline_predicted")
"""Names of the rows of `count_boundaries`, in order."""


def count_boundaries(truth: LabelArray, predicted: LabelArray, num_classes: int) -> Counts:
    """Count the pixels of one image from which boundary scores are computed.

    Ignored pixels are excluded from both maps. As in the authors' code, they and the image's border also
    count as boundaries for the bands of Boundary IoU; contours of Boundary F1 are only between two classes.

    Args:
        truth: (H, W) or (D, H, W) uint8 or uint16, 0..K-1 or `ignored_in` it.
        predicted: The same shape and type, 0..K-1.
        num_classes: K.

    Returns:
        (7, K) int64, rows as in `ROWS`.
    """
    assert truth.shape == predicted.shape, f"truth {truth.shape}, prediction {predicted.shape}"
    if truth.ndim == 3:
        slices = [count_boundaries(t, p, num_classes) for t, p in zip(truth, predicted, strict=True)]
        return np.asarray(np.stack(slices).sum(0), np.int64)
    truth = np.ascontiguousarray(truth)
    predicted = np.where(truth == ignored_in(truth), truth, predicted)
    diagonal = hypot(*truth.shape)
    band, tolerance = max(1, round(BAND * diagonal)), max(1, round(TOLERANCE * diagonal))
    return np.stack(
        [
            *_count_bands(truth, predicted, num_classes, band),
            *_count_found(truth, predicted, num_classes, tolerance),
            *_count_found(predicted, truth, num_classes, tolerance),
        ]
    )


@dataclass(frozen=True)
class BoundaryScores:
    """Boundary scores; NaN for a class without any boundary, and for a single class.

    Attributes:
        iou: (..., K) IoU of the bands inside the borders of truth and prediction.
        f1: (..., K) harmonic mean of boundary precision and recall.
    """

    iou: PerClass
    f1: PerClass

    def overall(self) -> dict[str, Overall]:
        """Return the means over the classes that have a boundary or an outline, by name."""
        return {
            "mean_boundary_iou": mean_of_present(self.iou),
            "mean_boundary_f1": mean_of_present(self.f1),
        }

    def by_class(self) -> dict[str, PerClass]:
        """Return the (..., K) scores of the classes by name."""
        return {"boundary_iou": self.iou, "boundary_f1": self.f1}


def boundary_scores(counts: Counts) -> BoundaryScores:
    """Compute the scores from the counts of `count_boundaries`, or a sum of them.

    Args:
        counts: (7, ..., K) int64.
    """
    # The border of a single class is that of the image, which is no score: none of its pixels counts.
    counts = int(counts.shape[-1] > 1) * counts
    both, band_truth, band_predicted, found, outline_truth, right, outline_predicted = counts
    recall, precision = ratio(found, outline_truth), ratio(right, outline_predicted)
    # If only one of the two has a contour, none of it can be matched, so the score is 0.
    either = outline_truth + outline_predicted > 0
    recall, precision = (np.where(either, np.nan_to_num(part), np.nan) for part in (recall, precision))
    total = recall + precision
    f1 = np.where(total > 0, 2 * recall * precision / np.where(total > 0, total, 1), total)
    return BoundaryScores(iou=ratio(both, band_truth + band_predicted - both), f1=f1)


def _count_bands(truth: LabelArray, predicted: LabelArray, num_classes: int, width: int) -> list[Counts]:
    inner_truth, inner_predicted = (_band(labels, width) for labels in (truth, predicted))
    both = inner_truth & inner_predicted & (truth == predicted)
    return [
        np.bincount(labels[inside], minlength=num_classes)
        for labels, inside in ((truth, both), (truth, inner_truth), (predicted, inner_predicted))
    ]


def _band(labels: LabelArray, width: int) -> npt.NDArray[np.bool_]:
    """Return the pixels with another label, an ignored pixel or the image's border within `width`.

    One maximum and one minimum filter over the labels handle all classes at once.
    """
    around = cv2.getStructuringElement(cv2.MORPH_RECT, (2 * width + 1, 2 * width + 1))
    ignored = ignored_in(labels)
    largest = cv2.dilate(labels, around, borderType=cv2.BORDER_CONSTANT, borderValue=ignored)
    differs = (largest != labels) | (cv2.erode(labels, around) != labels)
    return np.asarray(differs & (labels != ignored))


def _count_found(sought: LabelArray, given: LabelArray, num_classes: int, tolerance: int) -> list[Counts]:
    """Return the number of contour pixels of `sought` that are near `given`'s, and of all."""
    places = np.flatnonzero(_outline(sought))
    outline = _outline(given)
    classes = sought.ravel()[places]
    found = np.zeros(len(places), bool)
    for first in range(0, num_classes, 64):  # one bit per class, 64 at a time
        count = min(64, num_classes - first)
        kind = np.dtype(f"u{1 if count <= 8 else 2 if count <= 16 else 4 if count <= 32 else 8}")
        lookup = np.zeros(1 + ignored_in(given), kind)
        lookup[first : first + count] = np.left_shift(np.uint64(1), np.arange(count, dtype=np.uint64))
        bits = np.where(outline, lookup[given], kind.type(0))
        mine = (classes >= first) & (classes < first + count)
        near = _spread(bits, tolerance).ravel()[places[mine]]
        found[mine] = near.astype(np.uint64) >> (classes[mine] - first).astype(np.uint64) & np.uint64(1) > 0
    return [np.bincount(part, minlength=num_classes) for part in (classes[found], classes)]


def _outline(labels: LabelArray) -> npt.NDArray[np.bool_]:
    """Return the pixels next to another class; ignored pixels and the image's border do not count."""
    square = np.ones((3, 3), np.uint8)
    known = labels != ignored_in(labels)
    largest = cv2.dilate(np.where(known, labels, labels.dtype.type(0)), square)
    return np.asarray(((largest > labels) | (cv2.erode(labels, square) < labels)) & known)


def _spread(bits: npt.NDArray[np.unsignedinteger], distance: int) -> npt.NDArray[np.unsignedinteger]:
    """Combine the bits of all pixels within a chessboard distance.

    The window doubles in each step, so the cost grows with the logarithm of the distance, not with the
    number of classes.
    """
    length = 2 * distance + 1
    for _ in range(2):  # along the rows, then along the columns
        wide = np.pad(bits, ((distance, distance), (0, 0)))
        covered = 1
        while 2 * covered <= length:
            wide = wide[:-covered] | wide[covered:]
            covered *= 2
        rest = length - covered
        bits = (wide[:-rest] | wide[rest:] if rest else wide).T
    return bits
