"""What is compared in images: their true and found objects, and how much they overlap.

The size of an object is the area of what is compared: the pixels of a mask, width times height of a box, of
true objects and detections alike. COCO's own files give the area of the mask even where boxes are compared,
so the box AP by size published for COCO sorts true objects by their masks.

Shape legend: G true objects, N found objects, P pairs, of all images.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from limner.core.boxes import Boxes
from limner.core.segments import Segments

Kind = Literal["masks", "boxes"]
Bits = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

LEAST_IOU = 0.5
"""Pairs that overlap less match at no threshold, and are left out."""


@dataclass(frozen=True)
class FoundObjects:
    """The found boxes of one image.

    Attributes:
        xyxy: (N, 4) left, top, right, bottom.
        labels: (N,) 0..K-1.
        scores: (N,) in any order.
    """

    xyxy: npt.NDArray[Any]
    labels: Labels
    scores: npt.NDArray[Any]


@dataclass(frozen=True)
class ComparedObjects:
    """The objects of some images; found ones by image, then class, then decreasing score.

    Attributes:
        num_images: Number of images, also of those without any object.
        true_images: (G,) number of the image of each true object, ascending.
        true_labels: (G,) 0..K-1.
        true_areas: (G,) square pixels.
        is_crowd: (G,) any number of found objects may lie in one, and is neither right nor wrong.
        is_difficult: (G,) may be missed; finding one, even several times, is neither right nor wrong.
        images: (N,) number of the image of each found object.
        labels: (N,) 0..K-1.
        scores: (N,).
        areas: (N,) square pixels.
        pairs: (P, 2) a found and a true object of the same image and class that overlap.
        ious: (P,) intersection over union; of a crowd, the fraction of the found object that is in it.
    """

    num_images: int
    true_images: Labels
    true_labels: Labels
    true_areas: Floats
    is_crowd: Bits
    is_difficult: Bits
    images: Labels
    labels: Labels
    scores: Floats
    areas: Floats
    pairs: Labels
    ious: Floats


def compare_boxes(truths: Sequence[Boxes], found: Sequence[FoundObjects]) -> ComparedObjects:
    """Compare the found boxes of images, at least one, with the true ones.

    Args:
        truths: With trained labels, of each image; boxes without an area are left out.
        found: The found boxes of each image.
    """
    truths = [truth.select(truth.areas > 0) for truth in truths]
    true = sized(np.concatenate([truth.xyxy for truth in truths]))
    true_labels = np.concatenate([truth.labels for truth in truths])
    true_images = _numbers([len(truth) for truth in truths])
    is_crowd = np.concatenate([truth.is_crowd for truth in truths])
    boxes = sized(np.concatenate([one.xyxy for one in found]))
    labels = np.concatenate([one.labels for one in found])
    scores = np.concatenate([one.scores for one in found]).astype(np.float64)
    images = _numbers([len(one.labels) for one in found])
    order = np.lexsort((-scores, labels, images))
    boxes, labels, scores, images = boxes[order], labels[order], scores[order], images[order]
    pairs = _pairs_of_class(images, labels, true_images, true_labels)
    ious = _overlaps_of_pairs(boxes[pairs[:, 0]], true[pairs[:, 1]], is_crowd[pairs[:, 1]])
    overlap = ious >= LEAST_IOU
    return ComparedObjects(
        len(truths), true_images, true_labels, true[:, 2] * true[:, 3], is_crowd,
        np.concatenate([truth.is_difficult for truth in truths]),
        images, labels, scores, boxes[:, 2] * boxes[:, 3], pairs[overlap], ious[overlap],
    )  # fmt: skip


def compare_masks(
    truth: Segments,
    masks: Bits,
    labels: Labels,
    scores: npt.NDArray[Any],
    *,
    kind: Kind = "masks",
) -> ComparedObjects:
    """Compare the found masks of an image with the true ones, or the boxes around them.

    Args:
        truth: With trained labels; objects without a pixel are left out.
        masks: (N, H, W).
        labels: (N,).
        scores: (N,).
        kind: What is compared.
    """
    from pycocotools import mask as coco_mask

    truth = truth.select(truth.areas > 0)
    scores = np.asarray(scores, np.float64)
    order = np.lexsort((-scores, labels))
    labels, scores = labels[order], scores[order]
    found, true = _run_lengths(masks[order]), _run_lengths(truth.masks())
    images, true_images = np.zeros(len(found), np.int64), np.zeros(len(true), np.int64)
    if kind == "boxes":
        boxes, true_boxes = (np.reshape(coco_mask.toBbox(runs), (-1, 4)) for runs in (found, true))
        areas, true_areas = (sides[:, 2] * sides[:, 3] for sides in (boxes, true_boxes))
        pairs = _pairs_of_class(images, labels, true_images, truth.labels)
        ious = _overlaps_of_pairs(boxes[pairs[:, 0]], true_boxes[pairs[:, 1]], truth.is_crowd[pairs[:, 1]])
    else:
        # Not by pycocotools' `area`, which takes at most 255 masks.
        areas = np.count_nonzero(masks[order], axis=(1, 2)).astype(np.float64)
        true_areas = truth.areas.astype(np.float64)
        overlaps = list(_mask_overlaps(found, true, labels, truth))
        pairs = np.concatenate([np.zeros((0, 2), np.int64), *(some for some, _ in overlaps)])
        ious = np.concatenate([np.zeros(0), *(some for _, some in overlaps)])
    overlap = ious >= LEAST_IOU
    return ComparedObjects(
        1, true_images, truth.labels, true_areas, truth.is_crowd, np.zeros(len(truth), bool),
        images, labels, scores, areas, pairs[overlap], ious[overlap],
    )  # fmt: skip


def box_overlaps(boxes: Floats, others: Floats, is_crowd: Bits) -> Floats:
    """Return the overlaps (N, G) of each box with each other one.

    Args:
        boxes: (N, 4) left, top, width, height.
        others: (G, 4).
        is_crowd: (G,) those of which the union is the area of the box.
    """
    return _overlaps_of_pairs(boxes[:, None], others[None], is_crowd)


def sized(xyxy: npt.NDArray[Any]) -> Floats:
    """Return (N, 4) left, top, width, height of left, top, right, bottom."""
    boxes = np.array(xyxy, np.float64).reshape(-1, 4)
    boxes[:, 2:] -= boxes[:, :2]
    return boxes


def _overlaps_of_pairs(boxes: Floats, others: Floats, is_crowd: Bits) -> Floats:
    """Return the overlaps of boxes (..., 4), with the operations of pycocotools, so to the last bit."""
    left, top, width, height = (boxes[..., i] for i in range(4))
    other_left, other_top, other_width, other_height = (others[..., i] for i in range(4))
    wide = np.minimum(width + left, other_width + other_left) - np.maximum(left, other_left)
    high = np.minimum(height + top, other_height + other_top) - np.maximum(top, other_top)
    shared = np.maximum(wide, 0) * np.maximum(high, 0)
    area = width * height
    union = np.where(is_crowd, area, area + other_width * other_height - shared)
    ious: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)
    return ious


def _numbers(counts: Sequence[int]) -> Labels:
    """Return the number of the image of each object, given the number of objects of each image."""
    return np.repeat(np.arange(len(counts)), counts)


def _pairs_of_class(images: Labels, labels: Labels, true_images: Labels, true_labels: Labels) -> Labels:
    """Return (P, 2) every found object with every true one of its image and class."""
    most = 1 + max(int(labels.max(initial=0)), int(true_labels.max(initial=0)))
    keys, true_keys = images * most + labels, true_images * most + true_labels
    order = np.argsort(true_keys, kind="stable")
    first = np.searchsorted(true_keys[order], keys, side="left")
    counts = np.searchsorted(true_keys[order], keys, side="right") - first
    found = np.repeat(np.arange(len(keys)), counts)
    before = np.repeat(np.cumsum(counts) - counts, counts)
    true = order[np.repeat(first, counts) + np.arange(len(found)) - before]
    return np.stack([found, true], 1)


def _run_lengths(masks: Bits) -> list[dict[str, Any]]:
    from pycocotools import mask as coco_mask

    return [coco_mask.encode(np.asfortranarray(mask, np.uint8)) for mask in masks]


def _mask_overlaps(
    found: list[dict[str, Any]], true: list[dict[str, Any]], labels: Labels, truth: Segments
) -> Iterator[tuple[Labels, Floats]]:
    """Yield the pairs (P, 2) of each class and their IoUs (P,): comparing masks is slow."""
    from pycocotools import mask as coco_mask

    for label in np.intersect1d(labels, truth.labels):
        rows, columns = np.flatnonzero(labels == label), np.flatnonzero(truth.labels == label)
        crowds = truth.is_crowd[columns].tolist()
        ious = np.asarray(coco_mask.iou([found[i] for i in rows], [true[i] for i in columns], crowds))
        yield np.stack([np.repeat(rows, len(columns)), np.tile(columns, len(rows))], 1), ious.ravel()
