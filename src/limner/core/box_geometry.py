"""Overlap of boxes, on any device.

Boxes are left, top, right, bottom in any unit. Shape legend: N and M numbers of boxes.
"""

import torch
from torch import Tensor


def box_areas(boxes: Tensor) -> Tensor:
    """Return the areas (N,) of boxes (N, 4); 0 if right is left of left, or bottom above top."""
    sides = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0)
    return sides[..., 0] * sides[..., 1]


def box_intersections(boxes: Tensor, others: Tensor) -> Tensor:
    """Return the area (N, M) that each of `boxes` (N, 4) shares with each of `others` (M, 4)."""
    low = torch.maximum(boxes[:, None, :2], others[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], others[None, :, 2:])
    sides = (high - low).clamp(min=0)
    return sides[..., 0] * sides[..., 1]


def box_ious(boxes: Tensor, others: Tensor) -> Tensor:
    """Return the intersection over union (N, M) of each of `boxes` (N, 4) with each of `others` (M, 4)."""
    shared = box_intersections(boxes, others)
    union = box_areas(boxes)[:, None] + box_areas(others)[None] - shared
    return shared / union.clamp(min=torch.finfo(shared.dtype).tiny)


def as_corners(boxes: Tensor) -> Tensor:
    """Return left, top, right, bottom (..., 4) of middle x, middle y, width, height."""
    middle, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat((middle - half, middle + half), -1)


def as_middles(boxes: Tensor) -> Tensor:
    """Return middle x, middle y, width, height (..., 4) of left, top, right, bottom."""
    return torch.cat(((boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]), -1)


def generalized_ious(boxes: Tensor, others: Tensor) -> Tensor:
    """Return the generalised IoU (N, M) of each of `boxes` (N, 4) with each of `others` (M, 4)."""
    count, others_count = len(boxes), len(others)
    _, generalized = paired_generalized_ious(
        boxes.repeat_interleave(others_count, 0), others.repeat(count, 1)
    )
    return generalized.view(count, others_count)


def paired_generalized_ious(boxes: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Return IoU and generalised IoU (N,) of each of `boxes` (N, 4) with the one at its place in `others`.

    The generalised IoU is the IoU minus the part of the smallest box around both that neither covers; it
    also has a gradient for boxes that do not touch (Rezatofighi et al., CVPR 2019).
    """
    sides = torch.minimum(boxes[:, 2:], others[:, 2:]) - torch.maximum(boxes[:, :2], others[:, :2])
    shared = sides.clamp(min=0).prod(1)
    union = box_areas(boxes) + box_areas(others) - shared
    around = (torch.maximum(boxes[:, 2:], others[:, 2:]) - torch.minimum(boxes[:, :2], others[:, :2])).prod(1)
    least = torch.finfo(shared.dtype).eps
    iou = shared / union.clamp(min=least)
    return iou, iou - (around - union) / around.clamp(min=least)
