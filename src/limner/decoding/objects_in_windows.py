"""Objects with masks found in the windows of an image; those that borders cut are put together.

The rules are those of boxes (`seams`): of the pieces of an object, the ones that no border cuts are right; if
all are cut, the union of their masks is the object. An object that two windows see whole is kept once.

Shape legend: N objects, n those of a window, H and W image size, h and w those of a window in the image.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from limner.core.prediction import SegmentPrediction
from limner.decoding.found_boxes import FoundBoxes
from limner.decoding.seams import AGREEMENT, cut_objects

Mask = npt.NDArray[np.bool_]

Box = tuple[int, int, int, int]
"""Left, top, right, bottom."""


T = TypeVar("T")

Found_co = TypeVar("Found_co", covariant=True)


class AnyTile(Protocol[Found_co]):
    """A `Tile` or an `ArrayTile`."""

    @property
    def outputs(self) -> Found_co:
        """Outputs of the network."""
        ...

    @property
    def start(self) -> tuple[int, ...]:
        """First pixel of the window along each spatial axis, in what the network sees of the image."""
        ...

    @property
    def size(self) -> tuple[int, ...]:
        """Size of the window there."""
        ...


@dataclass(frozen=True)
class _Piece:
    """What one window shows of an object.

    Attributes:
        mask: Pixels of the object in the box around it.
        top: First row of the box in the image.
        left: First column.
        label: Its class.
        score: Its score.
        window: What the window shows of the image.
    """

    mask: Mask
    top: int
    left: int
    label: int
    score: float
    window: Box

    @property
    def box(self) -> Box:
        """Left, top, right, bottom."""
        height, width = self.mask.shape
        return self.left, self.top, self.left + width, self.top + height

    def within(self, box: Box) -> Mask:
        """Return the mask in a part of the image, left, top, right, bottom."""
        left, top, right, bottom = box
        shown = np.zeros((bottom - top, right - left), bool)
        own = _shared(self.box, box)
        if own[0] < own[2] and own[1] < own[3]:
            rows = slice(own[1] - self.top, own[3] - self.top)
            columns = slice(own[0] - self.left, own[2] - self.left)
            shown[own[1] - top : own[3] - top, own[0] - left : own[2] - left] = self.mask[rows, columns]
        return shown

    def is_same(self, other: "_Piece") -> bool:
        """Return whether two windows show the same object, by the IoU of the masks where both see."""
        if self.label != other.label or self.window == other.window:
            return False
        both = _shared(self.window, other.window)
        if both[0] >= both[2] or both[1] >= both[3]:
            return False
        around = _shared(both, _around(self.box, other.box))
        if around[0] >= around[2] or around[1] >= around[3]:
            return False
        ours, theirs = self.within(around), other.within(around)
        return bool(np.count_nonzero(ours & theirs) > AGREEMENT * np.count_nonzero(ours | theirs))


def find_objects_in_windows(
    tiles: Iterable[AnyTile[T]],
    find: Callable[[T, Sequence[int]], SegmentPrediction],
    *,
    size: tuple[int, ...],
    seen_size: tuple[int, ...],
    name: str,
) -> SegmentPrediction:
    """Return the objects of an image, highest score first.

    Args:
        tiles: The outputs of each window.
        find: Returns the objects of a window, given its outputs and its size in the image.
        size: (H, W) of the image.
        seen_size: (H, W) of what the network sees of it, without padding.
        name: Name of the prediction.
    """
    height, width = size
    factors = [new / old for new, old in zip(size, seen_size, strict=True)]
    pieces = [piece for tile in tiles for piece in _pieces(tile, find, (height, width), factors)]
    pieces.sort(key=lambda piece: -piece.score)
    remains = _without_duplicates(_joined(pieces, (height, width)))
    masks = np.zeros((len(remains), height, width), bool)
    for mask, piece in zip(masks, remains, strict=True):
        left, top, right, bottom = piece.box
        mask[top:bottom, left:right] = piece.mask
    labels = np.array([piece.label for piece in remains], np.int64)
    return SegmentPrediction(name, masks, labels, np.array([piece.score for piece in remains], np.float32))


def _without_duplicates(pieces: Sequence[_Piece]) -> list[_Piece]:
    """Return the pieces, highest score first, that are not of an object that an earlier one shows."""
    remains = np.zeros(len(pieces), bool)
    touching = _Touching(pieces)
    for place, piece in enumerate(pieces):
        rivals = (rival for rival in touching.of(place) if remains[rival])
        remains[place] = not any(piece.is_same(pieces[rival]) for rival in rivals)
    return [pieces[place] for place in np.flatnonzero(remains).tolist()]


class _Touching:
    """Finds the pieces whose boxes touch that of another piece."""

    def __init__(self, pieces: Sequence[_Piece]) -> None:
        self._boxes = np.array([piece.box for piece in pieces], np.int64).reshape(-1, 4)

    def of(self, place: int) -> list[int]:
        """Return the indices of the others."""
        left, top, right, bottom = self._boxes[place]
        touches = (self._boxes[:, 0] < right) & (self._boxes[:, 2] > left)
        touches &= (self._boxes[:, 1] < bottom) & (self._boxes[:, 3] > top)
        touches[place] = False
        return [int(other) for other in np.flatnonzero(touches)]


def _pieces(
    tile: AnyTile[T],
    find: Callable[[T, Sequence[int]], SegmentPrediction],
    size: tuple[int, int],
    factors: Sequence[float],
) -> Iterator[_Piece]:
    """Yield the objects of one window in pixels of the image."""
    starts = [round(start * factor) for start, factor in zip(tile.start, factors, strict=True)]
    ends = [round((s + side) * f) for s, side, f in zip(tile.start, tile.size, factors, strict=True)]
    found = find(tile.outputs, [end - start for start, end in zip(starts, ends, strict=True)])
    low = [max(start, 0) for start in starts]
    high = [min(end, side) for end, side in zip(ends, size, strict=True)]
    inside = tuple(slice(a - start, b - start) for a, b, start in zip(low, high, starts, strict=True))
    window = (low[1], low[0], high[1], high[0])
    for mask, label, score in zip(found.masks, found.labels.tolist(), found.scores.tolist(), strict=True):
        shown = mask[inside]
        rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
        if len(rows):
            box = shown[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy()
            yield _Piece(box, low[0] + int(rows[0]), low[1] + int(columns[0]), label, score, window)


def _joined(pieces: Sequence[_Piece], size: tuple[int, int]) -> list[_Piece]:
    """Return one piece for each object that borders cut, and all others, highest score first."""
    if not pieces:
        return []
    found = FoundBoxes(
        np.array([piece.box for piece in pieces], np.float32),
        np.array([piece.label for piece in pieces], np.int64),
        np.array([piece.score for piece in pieces], np.float32),
        np.array([piece.window for piece in pieces], np.float32),
    )
    joined, touching = dict(enumerate(pieces)), _Touching(pieces)

    def partners(place: int) -> list[int]:
        return [other for other in touching.of(place) if pieces[place].is_same(pieces[other])]

    for cut in cut_objects(found, size, partners=partners):
        members, whole = cut.members.tolist(), cut.whole.tolist()
        for place in members:
            del joined[place]
        if whole:
            joined |= {place: pieces[place] for place in whole}
        else:
            joined[members[0]] = _union([pieces[place] for place in members], size)
    return [joined[place] for place in sorted(joined)]


def _union(pieces: Sequence[_Piece], size: tuple[int, int]) -> _Piece:
    """Return the object of several pieces, with the score of the first, in the window of the whole image."""
    boxes = np.array([piece.box for piece in pieces])
    (left, top), (right, bottom) = boxes[:, :2].min(0).tolist(), boxes[:, 2:].max(0).tolist()
    mask = np.zeros((bottom - top, right - left), bool)
    for piece in pieces:
        height, width = piece.mask.shape
        mask[piece.top - top : piece.top - top + height, piece.left - left : piece.left - left + width] |= (
            piece.mask
        )
    return _Piece(mask, top, left, pieces[0].label, pieces[0].score, (0, 0, size[1], size[0]))


def _shared(one: Box, other: Box) -> Box:
    """Return what two boxes share, without an area if they do not touch."""
    left, top = max(one[0], other[0]), max(one[1], other[1])
    return left, top, min(one[2], other[2]), min(one[3], other[3])


def _around(one: Box, other: Box) -> Box:
    """Return the box around two."""
    left, top = min(one[0], other[0]), min(one[1], other[1])
    return left, top, max(one[2], other[2]), max(one[3], other[3])
