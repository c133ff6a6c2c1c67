"""Boxes found in an image or in its windows, and non-maximum suppression.

Shape legend: N boxes, highest score first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from limner.core.box_geometry import box_ious
from limner.decoding.network_runs import Tile

MOST_OVERLAP = 0.6
"""IoU above which two boxes of a class are of the same object, as in FCOS and ATSS."""

BLOCK = 2048
"""Number of boxes that are compared with all others at once, which limits memory."""


@dataclass(frozen=True)
class FoundBoxes:
    """Boxes with their classes and scores, and the windows in which they were found.

    Attributes:
        xyxy: (N, 4) float32 left, top, right, bottom in pixels of what the network sees of the image.
        labels: (N,) int64.
        scores: (N,) float32, descending.
        windows: (N, 4) float32: the part of the image that the network saw with each box.
    """

    xyxy: Tensor
    labels: Tensor
    scores: Tensor
    windows: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, chosen: Tensor | slice) -> "FoundBoxes":
        """Return the boxes at indices, of a slice, or where a mask is True."""
        return FoundBoxes(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def suppressed(self, *, most_overlap: float) -> "FoundBoxes":
        """Return the boxes that `suppress` leaves."""
        return self.select(suppress(self.xyxy, self.labels, most_overlap=most_overlap))

    def with_boxes(self, xyxy: Tensor) -> "FoundBoxes":
        """Return the same objects with other boxes (N, 4)."""
        return replace(self, xyxy=xyxy)


def best_pairs(scores: Tensor, *, least: float, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the highest scores in order, and the row and class of each.

    Args:
        scores: (rows, K) in [0, 1].
        least: Scores must be higher than this.
        most: Maximum number of scores.
    """
    best, places = scores.flatten().sort(descending=True, stable=True)
    count = min(most, int((best > least).sum()))
    places = places[:count]
    return best[:count], places.div(scores.shape[1], rounding_mode="floor"), places % scores.shape[1]


def place_boxes(
    boxes: Tensor, labels: Tensor, scores: Tensor, tile: Tile, size: tuple[int, int]
) -> FoundBoxes:
    """Return boxes of a window in pixels of the image, clipped to what the window shows of it.

    Args:
        boxes: (N, 4) in pixels of the window.
        labels: (N,).
        scores: (N,) descending.
        tile: The window.
        size: (H, W) of the image.
    """
    low = [max(start, 0) for start in tile.start]
    high = [min(start + side, end) for start, side, end in zip(tile.start, tile.size, size, strict=True)]
    window = boxes.new_tensor([*low[::-1], *high[::-1]])
    moved = boxes + boxes.new_tensor(tile.start[::-1]).repeat(2)
    moved = torch.minimum(torch.maximum(moved, window[:2].repeat(2)), window[2:].repeat(2))
    found = FoundBoxes(moved, labels, scores, window.expand_as(moved))
    return found.select((moved[:, 2:] > moved[:, :2]).all(1))


def join(parts: Sequence[FoundBoxes]) -> FoundBoxes:
    """Return the boxes of all parts, at least one, highest score first."""
    together = FoundBoxes(
        *(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(FoundBoxes))
    )
    return together.select(together.scores.argsort(descending=True, stable=True))


def suppress(boxes: Tensor, labels: Tensor, *, most_overlap: float) -> Tensor:
    """Return (N,) which boxes remain: those that overlap no remaining box of their class with a higher score.

    Args:
        boxes: (N, 4), highest score first.
        labels: (N,) class of each.
        most_overlap: IoU above which two boxes of a class are of the same object.
    """
    remains = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    for start in range(0, len(boxes), BLOCK):
        block = slice(start, start + BLOCK)
        earlier = remains.nonzero().flatten()
        rivals = _are_rivals(boxes, labels, earlier, block, most_overlap)
        remains[block] = _decided(boxes[block], labels[block], ~rivals.any(0), most_overlap)
    return remains


def _are_rivals(
    boxes: Tensor, labels: Tensor, rows: Tensor | slice, columns: slice, most_overlap: float
) -> Tensor:
    """Return (rows, columns): whether two boxes of one class overlap too much."""
    overlaps = box_ious(boxes[rows], boxes[columns])
    return (overlaps > most_overlap) & (labels[rows][:, None] == labels[columns][None])


def _decided(boxes: Tensor, labels: Tensor, is_free: Tensor, most_overlap: float) -> Tensor:
    """Return (N,) which boxes of a block remain, of those that no earlier box suppresses.

    All are decided at once, again and again until nothing changes. Each pass is right for the boxes whose
    rivals are decided; usually there are three or four.
    """
    whole = slice(None)
    rivals = _are_rivals(boxes, labels, whole, whole, most_overlap).triu(1).float()
    remains = is_free
    while True:
        decided = is_free & (remains.float() @ rivals == 0)
        if torch.equal(decided, remains):
            return remains
        remains = decided
