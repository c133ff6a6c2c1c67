"""Bootstrap intervals of COCO's average precision.

AP is not a sum over images: each replicate needs its own precision-recall curve. The matches of pycocotools
are reused; an image that is drawn twice counts each of its objects twice in the running sums.

Shape legend: K classes, T IoU thresholds, D detections of one class, G replicates.
"""

from collections.abc import Sequence
from typing import Any

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


def weighted_precision(
    rows: Sequence[Sequence[dict[str, Any] | None]], weights: Weights
) -> npt.NDArray[np.float64]:
    """Return (G, K, T): the average precision of each replicate; NaN if it draws no true object.

    Args:
        rows: For each image, pycocotools' result for each class, over objects of all sizes.
        weights: (G, images).
    """
    found = [_of_class([image[k] for image in rows], weights) for k in range(len(rows[0]))]
    return np.stack(found, axis=1)


def _of_class(rows: Sequence[dict[str, Any] | None], weights: Weights) -> npt.NDArray[np.float64]:
    there = [(image, row) for image, row in enumerate(rows) if row is not None]
    num_thresholds = len(there[0][1]["dtMatches"]) if there else 10
    true = np.zeros(weights.shape[1], np.int64)
    for image, row in there:
        true[image] = int((np.asarray(row["gtIgnore"]) == 0).sum())
    totals = weights @ true
    scores = np.concatenate([row["dtScores"] for _, row in there] or [[]])
    precision = np.full((len(weights), num_thresholds), np.nan)
    if not len(scores):
        precision[totals > 0] = 0
        return precision
    order = np.argsort(-scores, kind="mergesort")
    of_image = np.concatenate([np.full(len(row["dtScores"]), image) for image, row in there])[order]
    excused = np.concatenate([row["dtIgnore"] for _, row in there], axis=1)[:, order].astype(bool)
    partner = np.concatenate([row["dtMatches"] for _, row in there], axis=1)[:, order] > 0
    hits, false_positives = partner & ~excused, ~partner & ~excused
    step = max(1, CHUNK // len(scores))
    for first in range(0, len(weights), step):
        block = slice(first, first + step)
        for t in range(num_thresholds):
            precision[block, t] = _area(
                weights[block][:, of_image], hits[t], false_positives[t], totals[block]
            )
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
    right, wrong = np.cumsum(weights * hits, 1), np.cumsum(weights * false_positives, 1)
    precision = right / np.maximum(right + wrong, 1)
    falling = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
    area = np.full(len(weights), np.nan)
    for i in np.flatnonzero(totals > 0):
        places = np.searchsorted(right[i] / totals[i], RECALLS, side="left")
        reached = places < right.shape[1]
        area[i] = falling[i, places[reached]].sum() / len(RECALLS)
    return area
