"""Bootstrap intervals of COCO's average precision.

AP is not a sum over images: each replicate needs its own precision-recall curve. The matches are reused; an
image that is drawn twice counts each of its objects twice in the running sums.

Shape legend: K classes, T IoU thresholds, D detections of one class, O true objects of it, G replicates,
R recall levels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from limner.metrics.bootstrap import weights_of_images

REPLICATES = 200
"""Number of replicates: enough for two digits of an interval's bounds; each passes over all detections."""

RECALLS = np.linspace(0, 1, 101)
"""Recall levels at which precision is evaluated, as in COCO."""

CHUNK = 2**22
"""Number of values in a block of replicates, which limits memory."""

Weights = npt.NDArray[np.int64]


def draw_weights(names: Sequence[str], *, replicates: int = REPLICATES, seed: int = 0) -> Weights:
    """Return (G, images): how often each replicate draws each image; depends only on the names."""
    return weights_of_images(names, replicates, seed=seed).astype(np.int64, order="C")


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
        of_found, needed = weights[block][:, objects.images], _hits_needed(totals[block])
        for t in range(num_thresholds):
            area = _area(of_found, objects.is_right[t], false_positives[t], needed)
            precision[block, t] = np.where(totals[block] > 0, area, np.nan)
    return precision


def _hits_needed(totals: Weights) -> Weights:
    """Return (G, R): the smallest number of hits whose recall, as a float, is at least that of `RECALLS`.

    Args:
        totals: (G) numbers of true objects.
    """
    totals = np.maximum(totals, 1)[:, None]
    fewest = np.floor(RECALLS * totals).astype(np.int64)
    return np.asarray(fewest + (fewest / totals < RECALLS))


def _area(
    weights: Weights, hits: npt.NDArray[np.bool_], false_positives: npt.NDArray[np.bool_], needed: Weights
) -> npt.NDArray[np.float64]:
    """Return (G): the mean of the monotonically decreasing precision over the recall levels.

    Args:
        weights: (G, D) weights of the detections, highest score first.
        hits: (D) whether they are true positives.
        false_positives: (D) whether they are false positives.
        needed: (G, R) numbers of true positives at which the recall levels are reached.
    """
    if not hits.any():
        return np.zeros(len(weights))
    right, wrong = np.cumsum(weights * hits, 1), np.cumsum(weights * false_positives, 1)
    precision = right / np.maximum(right + wrong, 1)
    falling = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
    places = _first_places(right, needed)
    is_reached = places < right.shape[1]
    heights = np.take_along_axis(falling, np.minimum(places, right.shape[1] - 1), axis=1)
    # The levels that are reached come first, so that each row is added up as it would be alone.
    return np.asarray(heights.sum(1, where=is_reached) / len(RECALLS))


def _first_places(right: Weights, needed: Weights) -> npt.NDArray[np.int64]:
    """Return (G, R): where each row first has the numbers that are needed; D where it never has.

    All rows are searched at once, as one ascending row: each starts above the end of the one before.

    Args:
        right: (G, D) ascending numbers from 0.
        needed: (G, R).
    """
    count, length = right.shape
    most = right[:, -1:]
    starts = np.arange(count)[:, None] * (most.max() + 2)
    places = np.searchsorted((right + starts).ravel(), np.minimum(needed, most + 1) + starts)
    return np.asarray(places - np.arange(count)[:, None] * length)
