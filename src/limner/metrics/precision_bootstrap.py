"""Bootstrap intervals of COCO's average precision.

AP is not a sum over images: each replicate needs its own precision-recall curve. The matches are reused; an
image that is drawn twice counts each of its objects twice in the running sums.

Shape legend: K classes, T IoU thresholds, D detections of one class, O true objects of it, G replicates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from limner.core.randomness import generator

REPLICATES = 200
"""Number of replicates: enough for two digits of an interval's bounds; each passes over all detections."""

RECALLS = np.linspace(0, 1, 101)
"""Recall levels at which precision is evaluated, as in COCO."""

CHUNK = 2**22
"""Number of values in a block of replicates, which limits memory."""

Weights = npt.NDArray[np.int64]


def draw_weights(names: Sequence[str], *, replicates: int = REPLICATES, seed: int = 0) -> Weights:
    """Return (G, images): how often each replicate draws each image; depends only on the names."""
    drawn = [generator(seed, f"bootstrap/{name}").poisson(1.0, replicates) for name in names]
    return np.stack(drawn, axis=1).astype(np.int64)


@dataclass(frozen=True)
class WeightedObjects:
    """The objects of one class in all images.

    Attributes:
        is_right: (T, D) whether a detection matches a true object; by decreasing score.
        is_excused: (T, D) whether it is neither right nor wrong.
        images: (D,) number of its image.
        true_images: (O,) number of the image of each true object that counts.
    """

    is_right: npt.NDArray[np.bool_]
    is_excused: npt.NDArray[np.bool_]
    images: npt.NDArray[np.int64]
    true_images: npt.NDArray[np.int64]


def weighted_precision(classes: Sequence[WeightedObjects], weights: Weights) -> npt.NDArray[np.float64]:
    """Return (G, K, T): the average precision of each replicate; NaN if it draws no true object.

    Args:
        classes: The objects of each class.
        weights: (G, images).
    """
    return np.stack([_of_class(objects, weights) for objects in classes], axis=1)


def _of_class(objects: WeightedObjects, weights: Weights) -> npt.NDArray[np.float64]:
    totals = weights[:, objects.true_images].sum(1)
    num_thresholds, num_found = objects.is_right.shape
    precision = np.full((len(weights), num_thresholds), np.nan)
    if not num_found:
        precision[totals > 0] = 0
        return precision
    false_positives = ~objects.is_right & ~objects.is_excused
    step = max(1, CHUNK // num_found)
    for first in range(0, len(weights), step):
        block = slice(first, first + step)
        of_found = weights[block][:, objects.images]
        for t in range(num_thresholds):
            precision[block, t] = _area(of_found, objects.is_right[t], false_positives[t], totals[block])
    return precision


def _area(
    weights: Weights, hits: npt.NDArray[np.bool_], false_positives: npt.NDArray[np.bool_], totals: Weights
) -> npt.NDArray[np.float64]:
    """Return (G): the mean of the monotonically decreasing precision over the recall levels.

    Args:
        weights: (G, D) weights of the detections, highest score first.
        hits: (D) whether they are true positives.
        false_positives: (D) whether they are false positives.
        totals: (G) numbers of true objects.
    """
    if not hits.any():
        return np.where(totals > 0, 0.0, np.nan)
    right, wrong = np.cumsum(weights * hits, 1), np.cumsum(weights * false_positives, 1)
    precision = right / np.maximum(right + wrong, 1)
    falling = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
    area = np.full(len(weights), np.nan)
    for i in np.flatnonzero(totals > 0):
        places = np.searchsorted(right[i] / totals[i], RECALLS, side="left")
        reached = places < right.shape[1]
        area[i] = falling[i, places[reached]].sum() / len(RECALLS)
    return area
