"""What is compared in one image: its true and found objects, and how much they overlap.

The size of an object is the area of what is compared: the pixels of a mask, width times height of a box, of
true objects and detections alike. COCO's own files give the area of the mask even where boxes are compared,
so the box AP by size published for COCO sorts true objects by their masks.

Shape legend: G true objects, N found objects.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from limner.core.boxes import Boxes
from limner.core.segments import Segments

Kind = Literal["masks", "boxes"]
Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ComparedObjects:
    """The objects of one image.

    Attributes:
        true_labels: (G,) 0..K-1.
        true_areas: (G,) square pixels.
        is_crowd: (G,) any number of found objects may lie in one, and is neither right nor wrong.
        is_difficult: (G,) may be missed; finding one, even several times, is neither right nor wrong.
        labels: (N,) 0..K-1.
        scores: (N,) in any order.
        areas: (N,) square pixels.
        ious: (N, G) intersection over union; of a crowd, the fraction of the found object that is in it. 0
            between objects of different classes.
    """

    true_labels: Labels
    true_areas: Floats
    is_crowd: npt.NDArray[np.bool_]
    is_difficult: npt.NDArray[np.bool_]
    labels: Labels
    scores: Floats
    areas: Floats
    ious: Floats


def compare_boxes(
    truth: Boxes, xyxy: npt.NDArray[Any], labels: Labels, scores: npt.NDArray[Any]
) -> ComparedObjects:
    """Compare found boxes with true ones; true boxes without an area are left out.

    Args:
        truth: With trained labels.
        xyxy: (N, 4) left, top, right, bottom.
        labels: (N,).
        scores: (N,).
    """
    truth = truth.select(truth.areas > 0)
    found, true = sized(xyxy), sized(truth.xyxy)
    ious = box_ious(found, true, truth.is_crowd) * (labels[:, None] == truth.labels)
    areas, true_areas = (boxes[:, 2] * boxes[:, 3] for boxes in (found, true))
    return ComparedObjects(
        truth.labels, true_areas, truth.is_crowd, truth.is_difficult,
        labels, np.asarray(scores, np.float64), areas, ious,
    )  # fmt: skip


def compare_masks(
    truth: Segments,
    masks: npt.NDArray[np.bool_],
    labels: Labels,
    scores: npt.NDArray[Any],
    *,
    kind: Kind = "masks",
) -> ComparedObjects:
    """Compare found masks with true ones, or the boxes around them; true ones without a pixel are left out.

    Args:
        truth: With trained labels.
        masks: (N, H, W).
        labels: (N,).
        scores: (N,).
        kind: What is compared.
    """
    from pycocotools import mask as coco_mask

    truth = truth.select(truth.areas > 0)
    found, true = _run_lengths(masks), _run_lengths(truth.masks())
    boxes, true_boxes = (np.reshape(coco_mask.toBbox(runs), (-1, 4)) for runs in (found, true))
    if kind == "boxes":
        areas, true_areas = (sides[:, 2] * sides[:, 3] for sides in (boxes, true_boxes))
        ious = box_ious(boxes, true_boxes, truth.is_crowd) * (labels[:, None] == truth.labels)
    else:
        areas, true_areas = (np.asarray(coco_mask.area(runs), np.float64) for runs in (found, true))
        ious = _mask_ious(found, true, labels, truth)
    return ComparedObjects(
        truth.labels, true_areas, truth.is_crowd, np.zeros(len(truth), bool),
        labels, np.asarray(scores, np.float64), areas, ious,
    )  # fmt: skip


def box_ious(boxes: Floats, others: Floats, is_crowd: npt.NDArray[np.bool_]) -> Floats:
    """Return the overlaps (N, G) of boxes, in the order of operations of pycocotools, so to the last bit.

    Args:
        boxes: (N, 4) left, top, width, height.
        others: (G, 4).
        is_crowd: (G,) those of which the union is the area of the box.
    """
    left, top, width, height = (boxes[:, None, i] for i in range(4))
    other_left, other_top, other_width, other_height = (others[None, :, i] for i in range(4))
    wide = np.minimum(width + left, other_width + other_left) - np.maximum(left, other_left)
    high = np.minimum(height + top, other_height + other_top) - np.maximum(top, other_top)
    shared = np.maximum(wide, 0) * np.maximum(high, 0)
    area = width * height
    union = np.where(is_crowd, area, area + other_width * other_height - shared)
    ious: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)
    return ious


def sized(xyxy: npt.NDArray[Any]) -> Floats:
    """Return (N, 4) left, top, width, height of left, top, right, bottom."""
    corners = np.asarray(xyxy, np.float64).reshape(-1, 4)
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], 1)


def _run_lengths(masks: npt.NDArray[np.bool_]) -> list[dict[str, Any]]:
    from pycocotools import mask as coco_mask

    return [coco_mask.encode(np.asfortranarray(mask, np.uint8)) for mask in masks]


def _mask_ious(
    found: list[dict[str, Any]], true: list[dict[str, Any]], labels: Labels, truth: Segments
) -> Floats:
    """Return (N, G), class by class, since comparing masks is slow."""
    from pycocotools import mask as coco_mask

    ious = np.zeros((len(found), len(true)))
    for label in np.intersect1d(labels, truth.labels):
        rows, columns = np.flatnonzero(labels == label), np.flatnonzero(truth.labels == label)
        ious[np.ix_(rows, columns)] = coco_mask.iou(
            [found[i] for i in rows], [true[i] for i in columns], truth.is_crowd[columns].tolist()
        )
    return ious
