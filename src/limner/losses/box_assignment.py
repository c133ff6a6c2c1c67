"""Which points learn which box, for networks that predict a box at each point.

Papers: ATSS (Zhang et al., CVPR 2020), https://arxiv.org/abs/1912.02424; task alignment (TOOD, Feng et al.,
ICCV 2021), https://arxiv.org/abs/2108.07755.

Shape legend: P points, K classes, N boxes of one image.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from limner.core.box_geometry import box_ious

NOBODY = -1
"""Index of the box of a point that learns none."""

ANCHOR_STRIDES = 8
"""Side of ATSS's square anchors in strides, as in the paper."""

ATSS_CANDIDATES = 9
"""Number of points of each level that are candidates for a box, as in the paper."""


@dataclass(frozen=True)
class Assignment:
    """The boxes that the points of one image learn.

    Attributes:
        boxes: (P,) int64 index of the box, or `NOBODY`.
        quality: (P,) float32 in [0, 1]: the score to learn for the class of that box; 0 without a box.
    """

    boxes: Tensor
    quality: Tensor


def assign_by_statistics(points: Tensor, found: Tensor, boxes: Tensor) -> Assignment:
    """Assign as ATSS does: the points whose square anchor overlaps a box more than most of the nearest do.

    The score to learn is the IoU of the predicted box, as in Generalized Focal Loss.

    Args:
        points: (P, 3) x, y and stride.
        found: (P, 4) predicted boxes.
        boxes: (N, 4), N at least 1.
    """
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = points[:, 2:] * (ANCHOR_STRIDES / 2)
    anchors = torch.cat((points[:, :2] - half, points[:, :2] + half), 1)
    overlaps = box_ious(anchors, boxes)
    is_near = _nearest_of_levels(points, centres)
    near = overlaps.where(is_near, torch.nan)
    mean = near.nanmean(0)
    spread = ((near - mean).square().nansum(0) / (is_near.sum(0) - 1).clamp(min=1)).sqrt()
    is_candidate = is_near & (overlaps >= mean + spread) & _are_inside(points, boxes)
    is_candidate |= _fallback(is_candidate, points, boxes)
    chosen = _best(overlaps, is_candidate)
    ious = _paired(box_ious(found, boxes), chosen)
    return Assignment(chosen, ious * (chosen != NOBODY))


def assign_by_alignment(
    points: Tensor,
    found: Tensor,
    scores: Tensor,
    boxes: Tensor,
    labels: Tensor,
    *,
    candidates: int,
    score_power: float,
    overlap_power: float,
) -> Assignment:
    """Assign as TOOD does: the points whose predicted score and box agree best with a true box.

    The score to learn is the agreement, scaled so that the best point of a box learns its IoU.

    Args:
        points: (P, 3) x, y and stride.
        found: (P, 4) predicted boxes.
        scores: (P, K) predicted scores in [0, 1].
        boxes: (N, 4), N at least 1.
        labels: (N,) their classes.
        candidates: Maximum number of points that learn a box.
        score_power: Exponent of the score in the agreement.
        overlap_power: Exponent of the IoU in the agreement.
    """
    overlaps = box_ious(found, boxes)
    agreement = scores[:, labels].pow(score_power) * overlaps.pow(overlap_power)
    is_inside = _are_inside(points, boxes)
    is_inside |= _fallback(is_inside, points, boxes)
    best = agreement.masked_fill(~is_inside, -1).topk(min(candidates, len(points)), dim=0).indices
    is_candidate = torch.zeros_like(is_inside).scatter_(0, best, True) & is_inside
    chosen = _best(overlaps, is_candidate)
    is_chosen = chosen != NOBODY
    own = torch.zeros_like(is_inside).scatter_(1, chosen.clamp(min=0)[:, None], is_chosen[:, None])
    agreement = agreement * own
    best_overlap = (overlaps * own).amax(0)
    scaled = agreement * (best_overlap / agreement.amax(0).clamp(min=torch.finfo(torch.float32).tiny))
    return Assignment(chosen, _paired(scaled, chosen) * is_chosen)


def are_in_any(points: Tensor, boxes: Tensor) -> Tensor:
    """Return (P,): whether a point (P, 3) is inside one of the boxes (N, 4)."""
    return _are_inside(points, boxes).any(1)


def _are_inside(points: Tensor, boxes: Tensor) -> Tensor:
    """Return (P, N): whether a point is inside a box."""
    places = points[:, None, :2]
    return ((places > boxes[None, :, :2]) & (places < boxes[None, :, 2:])).all(-1)


def _fallback(is_candidate: Tensor, points: Tensor, boxes: Tensor) -> Tensor:
    """Return (P, N): the point nearest the centre of each box without a candidate, as of tiny objects."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    distance = (points[:, None, :2] - centres[None]).square().sum(-1)
    nearest = torch.zeros_like(is_candidate).scatter_(0, distance.argmin(0, keepdim=True), True)
    return nearest & ~is_candidate.any(0)


def _nearest_of_levels(points: Tensor, centres: Tensor) -> Tensor:
    """Return (P, N): whether a point is one of the nearest to the centre (N, 2) of a box in its level."""
    distance = (points[:, None, :2] - centres[None]).square().sum(-1)
    is_near = torch.zeros_like(distance, dtype=torch.bool)
    for stride in torch.unique(points[:, 2]):
        rows = (points[:, 2] == stride).nonzero().flatten()
        best = distance[rows].topk(min(ATSS_CANDIDATES, len(rows)), dim=0, largest=False).indices
        is_near.scatter_(0, rows[best], True)
    return is_near


def _best(overlaps: Tensor, is_candidate: Tensor) -> Tensor:
    """Return (P,) the box of each point, the one with the highest overlap of several, or `NOBODY`."""
    best = overlaps.masked_fill(~is_candidate, -1).max(1).indices
    return best.where(is_candidate.any(1), NOBODY)


def _paired(values: Tensor, chosen: Tensor) -> Tensor:
    """Return (P,) the value in (P, N) of the chosen box of each point; any value where there is none."""
    return values.gather(1, chosen.clamp(min=0)[:, None])[:, 0]
