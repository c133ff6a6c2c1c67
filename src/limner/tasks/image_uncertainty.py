"""How unsure a model is of an image: what `Task.uncertainty` of the tasks is made of; each is in [0, 1].

Shape legend: K classes, *S image size.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.boxes import boxes_of
from limner.core.prediction import SCORE_THRESHOLD, BoxPrediction, PanopticPrediction, SegmentPrediction
from limner.core.segments import Segments
from limner.metrics.object_overlaps import ComparedObjects, FoundObjects, compare_boxes, compare_masks

CHUNK = 2**22
"""Probabilities whose logarithms are in memory at a time."""

ENTROPY_OF_PIXELS = "the mean entropy of the classes of its pixels"
ENTROPY_OF_IMAGE = "the entropy of its classes"
DISAGREEMENT = "how much the objects found in it and in its mirror image differ"
"""Words for messages: the uncertainty of an image is ..."""


def mean_entropy(probabilities: npt.NDArray[np.floating[Any]]) -> float:
    """Return the mean entropy of probabilities (K, *S) of exclusive classes, divided by log K.

    It is 0 for a single class.
    """
    classes = len(probabilities)
    if classes < 2:
        return 0.0
    flat = probabilities.reshape(classes, -1)
    step = max(1, CHUNK // classes)
    parts = (flat[:, first : first + step] for first in range(0, flat.shape[1], step))
    return float(sum(_entropy(part) for part in parts) / (flat.shape[1] * np.log(classes)))


def mean_binary_entropy(probabilities: npt.NDArray[np.floating[Any]]) -> float:
    """Return the mean entropy of probabilities (K,), each of a class of its own, divided by log 2."""
    both = np.stack([probabilities, 1 - probabilities])
    return float(_entropy(both) / (probabilities.size * np.log(2)))


def _entropy(probabilities: npt.NDArray[np.floating[Any]]) -> float:
    """Return the sum of -p log p; a probability of 0 adds nothing."""
    p = np.maximum(probabilities.astype(np.float64), 1e-12)
    return float(-(p * np.log(p)).sum())


def differing_masks(found: SegmentPrediction, mirrored: SegmentPrediction) -> float:
    """Return how much the objects of an image and of its mirror image differ.

    Args:
        found: Objects of the image.
        mirrored: Objects of the image that was mirrored left to right, as they are there.
    """
    sure = found.scores >= SCORE_THRESHOLD
    back = replace(mirrored, masks=mirrored.masks[..., ::-1]).segments(SCORE_THRESHOLD)
    if not sure.any() and not len(back.labels):
        return _likeliest(found.scores, mirrored.scores)
    return _disagreement(compare_masks(back, found.masks[sure], found.labels[sure], found.scores[sure]))


def differing_segments(found: PanopticPrediction, mirrored: PanopticPrediction) -> float:
    """Return how much the segments of an image and of its mirror image differ, see `differing_masks`."""
    back: Segments = replace(mirrored, segment_ids=mirrored.segment_ids[..., ::-1]).segments()
    masks = found.segments().masks()
    if not len(masks) and not len(back.labels):
        return 0.0
    return _disagreement(compare_masks(back, masks, found.segments().labels, np.ones(len(masks))))


def differing_boxes(found: BoxPrediction, mirrored: BoxPrediction) -> float:
    """Return how much the boxes of an image and of its mirror image differ, see `differing_masks`."""
    sure, ours = found.scores >= SCORE_THRESHOLD, mirrored.scores >= SCORE_THRESHOLD
    if not sure.any() and not ours.any():
        return _likeliest(found.scores, mirrored.scores)
    left, top, right, bottom = mirrored.xyxy[ours].T
    width = found.shape[1]
    turned = np.stack([width - right, top, width - left, bottom], 1)
    back = boxes_of(turned.tolist(), mirrored.labels[ours].tolist(), shape=found.shape)
    objects = FoundObjects(found.xyxy[sure], found.labels[sure], found.scores[sure])
    return _disagreement(compare_boxes([back], [objects]))


def _likeliest(*scores: npt.NDArray[np.float32]) -> float:
    """Return the highest score where no object is found: the closer to being found, the less sure."""
    return float(max((row.max() for row in scores if len(row)), default=0.0))


def _disagreement(compared: ComparedObjects) -> float:
    """Return 1 less the panoptic quality of one set of objects against the other.

    Pairs of one class with an IoU of 0.5 or more match, the best first; the quality is the sum of their IoUs,
    divided by the mean number of objects (Kirillov et al., CVPR 2019).
    """
    taken: tuple[set[int], set[int]] = (set(), set())
    total = 0.0
    for place in np.argsort(-compared.ious, kind="stable").tolist():
        pair: Sequence[int] = compared.pairs[place].tolist()
        if pair[0] not in taken[0] and pair[1] not in taken[1]:
            taken[0].add(pair[0])
            taken[1].add(pair[1])
            total += float(compared.ious[place])
    mean = (len(compared.labels) + len(compared.true_labels)) / 2
    return 1 - total / mean
