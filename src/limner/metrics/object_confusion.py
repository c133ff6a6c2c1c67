"""Confusion matrix of found boxes: which class was found for which, and what was missed or is not there.

Shape legend: K classes, N found boxes.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.boxes import Boxes, incomplete
from limner.metrics.confusion import Counts
from limner.metrics.object_overlaps import Labels, box_overlaps, sized

LEAST_IOU = 0.5
"""IoU from which a found and a true box are of the same object, whatever their classes."""


def count_confused_boxes(truth: Boxes, xyxy: npt.NDArray[Any], labels: Labels, *, num_classes: int) -> Counts:
    """Count the pairs of true and found class of one image.

    Pairs are made in order of decreasing IoU, each box in one at most; of equal pairs, one of equal classes
    comes first. A found box in a crowd, on a difficult object or of a label that is not `complete` is not
    counted if it is in no pair.

    Args:
        truth: With trained labels.
        xyxy: (N, 4) left, top, right, bottom of the found boxes that count.
        labels: (N,).
        num_classes: K.

    Returns:
        (K + 1, K + 1), rows truth and columns prediction; the last of each is nothing.
    """
    single = truth.select(~truth.is_ignored)
    found = sized(xyxy)
    ious = box_overlaps(found, sized(single.xyxy), np.zeros(len(single), bool))
    rows, columns = np.nonzero(ious >= LEAST_IOU)
    same = labels[rows] == single.labels[columns]
    counts = np.zeros((num_classes + 1, num_classes + 1), np.int64)
    partner_of, is_missed = np.full(len(labels), num_classes), np.ones(len(single), bool)
    is_free = np.ones(len(labels), bool)
    for pair in np.lexsort((~same, -ious[rows, columns])):
        row, column = rows[pair], columns[pair]
        if is_free[row] and is_missed[column]:
            is_free[row] = is_missed[column] = False
            partner_of[row] = single.labels[column]
    is_unknown = np.isin(labels, incomplete(labels, truth.complete))
    excused = is_free & (_are_on_ignored(found, truth) | is_unknown)
    np.add.at(counts, (partner_of[~excused], labels[~excused]), 1)
    counts[:, num_classes] += np.bincount(single.labels[is_missed], minlength=num_classes + 1)
    return counts


def _are_on_ignored(found: npt.NDArray[np.float64], truth: Boxes) -> npt.NDArray[np.bool_]:
    """Return (N,) whether a found box is in a crowd, or on a difficult object."""
    ignored = truth.select(truth.is_ignored)
    ious = box_overlaps(found, sized(ignored.xyxy), ignored.is_crowd)
    return np.asarray((ious >= LEAST_IOU).any(1), bool)
