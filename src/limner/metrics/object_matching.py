"""COCO's matching of found with true objects, of all classes, IoU thresholds and sizes of an image at once.

In order of decreasing score, each found object takes the true object of its class with the highest IoU that
is still free; true objects outside the range of sizes, difficult ones and crowds are taken only if no other
is. pycocotools does so one by one. The same result comes from proposals in rounds: every found object
proposes to its favourite, each true object keeps the proposal with the highest score, and who is refused
proposes to the next. All found objects rank a true object's proposals in the same order, that of the scores,
so the stable matching, which the rounds end in, is unique and is that of one by one (Gale and Shapley, 1962).

Shape legend: A ranges of sizes, T IoU thresholds, G true objects, N found objects, P pairs that overlap.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.metrics.object_overlaps import ComparedObjects, Floats, Labels

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""IoU thresholds, as COCO computes them."""

SIZES = np.array([[0, 1e5**2], [0, 32**2], [32**2, 96**2], [96**2, 1e5**2]], np.float64)
"""Smallest and largest area in square pixels of all, small, medium and large objects, as in COCO."""

ALMOST_ONE = 1 - 1e-10
"""Highest threshold, so that rounding does not refuse an IoU of 1; as in COCO."""

NONE = -1
"""Index of the true object of a found one that matches none."""


@dataclass(frozen=True)
class MatchedObjects:
    """The objects of one image and their matches; found objects by class, then by decreasing score.

    Attributes:
        labels: (N,).
        scores: (N,).
        ranks: (N,) place of each among those of its class, from 0.
        partners: (A, T, N) index of the matched true object, or `NONE`.
        is_excused: (A, T, N) neither right nor wrong: matched with an object that does not count, or
            unmatched and of another size.
        ious: (N,) IoU with the partner at the lowest threshold among objects of all sizes; 0 without one.
        true_labels: (G,).
        counts: (A, G) whether a true object counts: it has the size, and is no crowd and not difficult.
    """

    labels: Labels
    scores: Floats
    ranks: Labels
    partners: npt.NDArray[np.int32]
    is_excused: npt.NDArray[np.bool_]
    ious: Floats
    true_labels: Labels
    counts: npt.NDArray[np.bool_]

    @property
    def is_right(self) -> npt.NDArray[np.bool_]:
        """(A, T, N) whether a found object matches one that counts."""
        return np.asarray((self.partners != NONE) & ~self.is_excused)


def match_objects(objects: ComparedObjects) -> MatchedObjects:
    """Match the objects of one image."""
    order = np.lexsort((-objects.scores, objects.labels))
    labels, scores, areas = objects.labels[order], objects.scores[order], objects.areas[order]
    ious = objects.ious[order]
    counts = _have_size(objects.true_areas) & ~objects.is_crowd & ~objects.is_difficult
    partners = _partners(ious, counts, objects.is_crowd | objects.is_difficult)
    is_matched = partners != NONE
    is_excused = np.where(is_matched, _taken(~counts, partners), ~_have_size(areas)[:, None, :])
    first = partners[0, 0]
    ious_of_pairs = np.where(first == NONE, 0.0, ious[np.arange(len(first)), first] if ious.size else 0.0)
    starts = np.searchsorted(labels, labels, side="left")
    return MatchedObjects(
        labels, scores, np.arange(len(labels)) - starts, partners, is_excused, ious_of_pairs,
        objects.true_labels, counts,
    )  # fmt: skip


def _have_size(areas: Floats) -> npt.NDArray[np.bool_]:
    """Return (A, N): whether an area is in each range."""
    return np.asarray((areas >= SIZES[:, :1]) & (areas <= SIZES[:, 1:]))


def _taken(values: npt.NDArray[np.bool_], partners: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Return (A, T, N): the value in (A, G) of each partner; any value for those without one."""
    if not values.shape[1]:
        return np.zeros(partners.shape, bool)
    return values[np.arange(len(values))[:, None, None], partners]


def _partners(
    ious: Floats, counts: npt.NDArray[np.bool_], takes_many: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int32]:
    """Return (A, T, N) the index of the true object that each found one takes.

    Args:
        ious: (N, G), 0 between classes; found objects of a class by decreasing score.
        counts: (A, G).
        takes_many: (G,) whether several found objects can take it.
    """
    partners = np.full((len(SIZES), len(THRESHOLDS), len(ious)), NONE, np.int32)
    found, true = np.nonzero(ious >= THRESHOLDS[0])
    if not len(found):
        return partners
    values = ious[found, true]
    for a in range(len(SIZES)):
        # The favourite of each found object is the last of its pairs: of several equal ones, the last.
        order = np.lexsort((true, values, counts[a, true], found))
        pairs = _Pairs(found[order], true[order], values[order], takes_many)
        pairs.match(partners[a])
    return partners


class _Pairs:
    """Pairs of found and true objects, by found object, its favourite last."""

    def __init__(self, found: Labels, true: Labels, ious: Floats, takes_many: npt.NDArray[np.bool_]) -> None:
        self.found, self.true, self.ious, self.takes_many = found, true, ious, takes_many
        self.starts = np.flatnonzero(np.r_[True, found[1:] != found[:-1]])
        self.places = np.arange(len(found))

    def match(self, partners: npt.NDArray[np.int32]) -> None:
        """Fill in partners (T, N)."""
        is_open = self.ious >= np.minimum(THRESHOLDS, ALMOST_ONE)[:, None]  # (T, P)
        rows = np.arange(len(THRESHOLDS))
        while True:
            favourite = np.maximum.reduceat(np.where(is_open, self.places, NONE), self.starts, axis=1)
            refused = self._refused(favourite)
            if not refused.any():
                break
            row, place = np.nonzero(refused)
            is_open[row, favourite[row, place]] = False
        row, place = np.nonzero(favourite != NONE)
        pair = favourite[row, place]
        partners[rows[row], self.found[pair]] = self.true[pair]

    def _refused(self, favourite: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Return (T, found objects with a pair): whether one with a higher score has the same favourite."""
        true = np.where(favourite == NONE, 0, self.true[favourite])
        asks = (favourite != NONE) & ~self.takes_many[true]
        width = favourite.shape[1]
        winner = np.full((len(favourite), len(self.takes_many)), width)
        row, place = np.nonzero(asks)
        np.minimum.at(winner.reshape(-1), row * winner.shape[1] + true[row, place], place)
        return np.asarray(asks & (winner[np.arange(len(favourite))[:, None], true] != np.arange(width)))
