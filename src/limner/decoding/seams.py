"""Objects that the borders of windows cut: their pieces become one box.

Two windows that overlap see the same pixels there. So two boxes of one class are of the same object if they
agree in the part of the image that both windows see; a cut box without such a partner is a part of the box of
the other window that contains it, as the last edge of something round. Of such boxes the ones that no border
cuts are right; if all are cut, as of objects larger than the overlap, the box around the pieces is.

Shape legend: N boxes, highest score first.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from limner.decoding.found_boxes import Flags, FoundBoxes, Indices, Numbers

SEAM = 4.0
"""Distance in pixels from the border of a window up to which a box is taken for cut by it."""

AGREEMENT = 0.5
"""IoU in the part that two windows see above which two boxes are of the same object."""

CONTAINED = 0.8
"""Fraction of a cut box there that is in a box of the other window, of which it then is a part."""


@dataclass(frozen=True)
class Cut:
    """The boxes of one object that borders of windows cut.

    Attributes:
        members: Indices of all of them, highest score first; two or more.
        whole: Indices of those that no border cuts; may be empty.
    """

    members: Indices
    whole: Indices


def cut_objects(
    found: FoundBoxes, size: tuple[int, int], *, partners: Callable[[int], Sequence[int]]
) -> list[Cut]:
    """Return the objects of which at least one of several boxes is cut.

    Args:
        found: Boxes of all windows.
        size: (H, W) of the image, whose own borders cut nothing.
        partners: Index of a cut box -> those of the boxes of other windows that are of the same object.
    """
    is_cut = _are_cut(found, size)
    return [Cut(members, members[~is_cut[members]]) for members in _groups(is_cut, partners)]


def merge_cut_boxes(found: FoundBoxes, size: tuple[int, int]) -> FoundBoxes:
    """Return one box for each object that borders of windows cut, and all others as they are.

    Args:
        found: Boxes of all windows.
        size: (H, W) of the image.
    """
    xyxy, remains = found.xyxy.copy(), np.ones(len(found), bool)
    for cut in cut_objects(found, size, partners=partial(_agreeing, found)):
        remains[cut.members] = False
        if len(cut.whole):
            remains[cut.whole] = True
            continue
        best, pieces = cut.members[0], found.xyxy[cut.members]
        xyxy[best] = np.concatenate((pieces[:, :2].min(0), pieces[:, 2:].max(0)))
        remains[best] = True
    return found.with_boxes(xyxy).select(remains)


def _are_cut(found: FoundBoxes, size: tuple[int, int]) -> Flags:
    """Return (N,) whether a side of a box is at a border of its window inside the image."""
    height, width = size
    is_inner = found.windows != np.array([0, 0, width, height], np.float32)
    is_near = np.abs(found.xyxy - found.windows) <= SEAM
    return np.asarray((is_near & is_inner).any(1))


def _groups(is_cut: Flags, partners: Callable[[int], Sequence[int]]) -> list[Indices]:
    """Return the indices of the boxes of each object with a cut box and at least two, in order of score."""
    group_of = list(range(len(is_cut)))

    def root(place: int) -> int:
        while group_of[place] != place:
            place = group_of[place]
        return place

    for place in np.flatnonzero(is_cut).tolist():
        for other in partners(place):
            first, last = sorted((root(place), root(other)))
            group_of[last] = first
    members: dict[int, list[int]] = {}
    for place in range(len(is_cut)):
        members.setdefault(root(place), []).append(place)
    return [np.array(some) for some in members.values() if len(some) > 1]


def _agreeing(found: FoundBoxes, place: int) -> list[int]:
    """Return the boxes of the same class from other windows that agree with one where both windows see.

    If none does, the one that contains most of it.
    """
    window, box = found.windows[place], found.xyxy[place]
    low = np.maximum(found.windows[:, :2], window[:2])
    high = np.minimum(found.windows[:, 2:], window[2:])
    first = _areas_within(box[np.newaxis], low, high)
    second = _areas_within(found.xyxy, low, high)
    shared = _areas_within(found.xyxy, np.maximum(low, box[:2]), np.minimum(high, box[2:]))
    may_agree = (found.windows != window).any(1) & (found.labels == found.labels[place])
    agree = may_agree & (shared > AGREEMENT * (first + second - shared))
    if agree.any():
        return [int(other) for other in np.flatnonzero(agree)]
    contained = np.where(may_agree & (first > 0), shared / np.maximum(first, 1e-6), 0.0)
    best = int(contained.argmax())
    return [best] if contained[best] > CONTAINED else []


def _areas_within(boxes: Numbers, low: Numbers, high: Numbers) -> Numbers:
    """Return (N,) the area of each box inside the rectangle from `low` to `high`, (N, 2) each."""
    sides = np.minimum(boxes[:, 2:], high) - np.maximum(boxes[:, :2], low)
    return np.asarray(sides.clip(0).prod(1))
