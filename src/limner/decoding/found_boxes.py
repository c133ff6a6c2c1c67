"""Boxes found in an image or in its windows, and non-maximum suppression.

Shape legend: N and M numbers of boxes, highest score first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from limner.decoding.network_arrays import ArrayTile

MOST_OVERLAP = 0.6
"""IoU above which two boxes of a class are of the same object, as in FCOS and ATSS."""

BLOCK = 2048
"""Number of boxes that are compared with all others at once, which limits memory."""

Numbers = npt.NDArray[np.float32]

Indices = npt.NDArray[np.int64]

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class FoundBoxes:
    """Boxes with their classes and scores, and the windows in which they were found.

    Attributes:
        xyxy: (N, 4) float32 left, top, right, bottom in pixels of what the network sees of the image.
        labels: (N,) int64.
        scores: (N,) float32, descending.
        windows: (N, 4) float32: the part of the image that the network saw with each box.
    """

    xyxy: Numbers
    labels: Indices
    scores: Numbers
    windows: Numbers

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, chosen: Indices | Flags | slice) -> "FoundBoxes":
        """Return the boxes at indices, of a slice, or where a mask is True."""
        return FoundBoxes(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def suppressed(self, *, most_overlap: float) -> "FoundBoxes":
        """Return the boxes that `suppress` leaves."""
        return self.select(suppress(self.xyxy, self.labels, most_overlap=most_overlap))

    def with_boxes(self, xyxy: Numbers) -> "FoundBoxes":
        """Return the same objects with other boxes (N, 4)."""
        return replace(self, xyxy=xyxy)


def best_pairs(scores: Numbers, *, least: float, most: int) -> tuple[Numbers, Indices, Indices]:
    """Return the highest scores in order, and the row and class of each.

    Args:
        scores: (rows, K) in [0, 1].
        least: Scores must be higher than this.
        most: Maximum number of scores.
    """
    places = np.flatnonzero(scores > least)
    found = scores.ravel()[places]
    order = np.argsort(-found, kind="stable")[:most]
    rows, labels = np.divmod(places[order], scores.shape[1])
    return found[order], rows.astype(np.int64), labels.astype(np.int64)


def place_boxes(
    boxes: Numbers, labels: Indices, scores: Numbers, tile: ArrayTile, size: tuple[int, int]
) -> FoundBoxes:
    """Return boxes of a window in pixels of the image, clipped to what the window shows of it.

    Args:
        boxes: (N, 4) in pixels of the window.
        labels: (N,).
        scores: (N,) descending.
        tile: The window.
        size: (H, W) of the image.
    """
    low = [max(start, 0) for start in tile.start][::-1]
    high = [min(start + side, end) for start, side, end in zip(tile.start, tile.size, size, strict=True)][
        ::-1
    ]
    start = tile.start[::-1]
    moved = np.clip(boxes + np.array([*start, *start], np.float32), [*low, *low], [*high, *high])
    moved = moved.astype(np.float32)
    windows = np.tile(np.array([*low, *high], np.float32), (len(moved), 1))
    there = np.asarray((moved[:, 2:] > moved[:, :2]).all(1))
    return FoundBoxes(moved, labels, scores, windows).select(there)


def join(parts: Sequence[FoundBoxes]) -> FoundBoxes:
    """Return the boxes of all parts, at least one, highest score first."""
    together = FoundBoxes(
        *(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(FoundBoxes))
    )
    return together.select(np.argsort(-together.scores, kind="stable"))


def suppress(boxes: Numbers, labels: Indices, *, most_overlap: float) -> Flags:
    """Return (N,) which boxes remain: those that overlap no remaining box of their class with a higher score.

    Args:
        boxes: (N, 4), highest score first.
        labels: (N,) class of each.
        most_overlap: IoU above which two boxes of a class are of the same object.
    """
    remains = np.zeros(len(boxes), bool)
    for start in range(0, len(boxes), BLOCK):
        block = slice(start, start + BLOCK)
        rivals = _are_rivals(boxes, labels, np.flatnonzero(remains), block, most_overlap)
        is_free = ~np.asarray(rivals.any(0))
        remains[block] = _decided(boxes[block], labels[block], is_free, most_overlap)
    return remains


def _are_rivals(
    boxes: Numbers, labels: Indices, rows: Indices | slice, columns: slice, most_overlap: float
) -> Flags:
    """Return (rows, columns): whether two boxes of one class overlap too much."""
    overlaps = _ious(boxes[rows], boxes[columns])
    return np.asarray((overlaps > most_overlap) & (labels[rows][:, np.newaxis] == labels[columns]))


def _decided(boxes: Numbers, labels: Indices, is_free: Flags, most_overlap: float) -> Flags:
    """Return (N,) which boxes of a block remain, of those that no earlier box suppresses.

    All are decided at once, again and again until nothing changes. Each pass is right for the boxes whose
    rivals are decided; usually there are three or four.
    """
    whole = slice(None)
    rivals = np.triu(_are_rivals(boxes, labels, whole, whole, most_overlap), 1).astype(np.float32)
    remains = is_free
    while True:
        decided = is_free & (remains.astype(np.float32) @ rivals == 0)
        if np.array_equal(decided, remains):
            return remains
        remains = decided


def _ious(boxes: Numbers, others: Numbers) -> Numbers:
    """Return the intersection over union (N, M) of boxes (N, 4) with others (M, 4)."""
    low = np.maximum(boxes[:, np.newaxis, :2], others[:, :2])
    high = np.minimum(boxes[:, np.newaxis, 2:], others[:, 2:])
    shared = (high - low).clip(0).prod(2)
    areas, of_others = ((each[:, 2:] - each[:, :2]).clip(0).prod(1) for each in (boxes, others))
    union = areas[:, np.newaxis] + of_others - shared
    return np.asarray(shared / np.maximum(union, np.finfo(np.float32).tiny), np.float32)
