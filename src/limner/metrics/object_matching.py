"""COCO's matching of found with true objects, of all classes, IoU thresholds and sizes of images at once.

In order of decreasing score, each found object takes the true object of its class with the highest IoU that
is still free; true objects outside the range of sizes, difficult ones and crowds are taken only if no other
is. pycocotools does so one by one. The same result comes from proposals in rounds: every found object
proposes to its favourite, each true object keeps the proposal with the highest score, and who is refused
proposes to the next. All true objects rank proposals in the same order, that of the scores, so the stable
matching, in which the rounds end, is unique and is that of one by one (Gale and Shapley, 1962).

Shape legend: A ranges of sizes, T IoU thresholds, G true objects, N found objects, P pairs that overlap.
"""

from dataclasses import dataclass

import numpy as np

from limner.metrics.object_overlaps import Bits, ComparedObjects, Floats, Labels

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""IoU thresholds, as COCO computes them."""

SIZES = np.array([[0, 1e5**2], [0, 32**2], [32**2, 96**2], [96**2, 1e5**2]], np.float64)
"""Smallest and largest area in square pixels of all, small, medium and large objects, as in COCO."""

ALMOST_ONE = 1 - 1e-10
"""Highest threshold, so that rounding does not refuse an IoU of 1; as in COCO."""


@dataclass(frozen=True)
class MatchedObjects:
    """The objects of some images and their matches; found ones by image, then class, then decreasing score.

    Attributes:
        num_images: Number of images.
        images: (N,) number of the image.
        labels: (N,).
        scores: (N,).
        ranks: (N,) place of each among those of its image and class, from 0.
        is_right: (A, T, N) matched with a true object that counts.
        is_excused: (A, T, N) neither right nor wrong: matched with an object that does not count, or
            unmatched and of another size.
        ious: (N,) IoU with the match at the lowest threshold among objects of all sizes; 0 without one.
        true_images: (G,) number of the image.
        true_labels: (G,).
        counts: (A, G) whether a true object counts: it has the size, and is no crowd and not difficult.
    """

    num_images: int
    images: Labels
    labels: Labels
    scores: Floats
    ranks: Labels
    is_right: Bits
    is_excused: Bits
    ious: Floats
    true_images: Labels
    true_labels: Labels
    counts: Bits


def match_objects(objects: ComparedObjects) -> MatchedObjects:
    """Match the objects of images."""
    counts = _have_size(objects.true_areas) & ~objects.is_crowd & ~objects.is_difficult
    takes_many = objects.is_crowd | objects.is_difficult
    shape = len(SIZES), len(THRESHOLDS), len(objects.labels)
    is_right = np.zeros(shape, bool)
    is_excused = np.broadcast_to(~_have_size(objects.areas)[:, None], shape).copy()
    ious = np.zeros(len(objects.labels))
    for a in range(len(SIZES)):
        pairs = _Pairs(objects, counts[a], takes_many)
        thresholds, places = pairs.match()
        found, counted = pairs.found[places], counts[a, pairs.true[places]]
        is_right[a, thresholds, found] = counted
        is_excused[a, thresholds, found] = ~counted
        if a == 0:
            lowest = thresholds == 0
            ious[found[lowest]] = pairs.ious[places[lowest]]
    return MatchedObjects(
        objects.num_images, objects.images, objects.labels, objects.scores, _ranks(objects),
        is_right, is_excused, ious, objects.true_images, objects.true_labels, counts,
    )  # fmt: skip


def _have_size(areas: Floats) -> Bits:
    """Return (A, N): whether an area is in each range."""
    return np.asarray((areas >= SIZES[:, :1]) & (areas <= SIZES[:, 1:]))


def _ranks(objects: ComparedObjects) -> Labels:
    """Return (N,) the place of each found object among those of its image and class."""
    places = np.arange(len(objects.labels))
    if not len(places):
        return places
    begins = (np.diff(objects.labels, prepend=-1) != 0) | (np.diff(objects.images, prepend=-1) != 0)
    return places - np.maximum.accumulate(np.where(begins, places, 0))


class _Pairs:
    """Pairs of found and true objects, by found object, its favourite last.

    A proposal is a number of a threshold and a place among the pairs.
    """

    def __init__(self, objects: ComparedObjects, counts: Bits, takes_many: Bits) -> None:
        found, true = objects.pairs.T
        # Of several equal ones, the last is the favourite.
        order = np.lexsort((true, objects.ious, counts[true], found))
        self.found, self.true, self.ious = found[order], true[order], objects.ious[order]
        self._takes_many = takes_many
        begins = np.diff(self.found, prepend=-1) != 0
        self._is_first = begins  # the least liked of its found object
        self._favourites = np.flatnonzero(np.append(begins[1:], [True] * bool(len(order))))
        self._least = np.minimum(THRESHOLDS, ALMOST_ONE)

    def match(self) -> tuple[Labels, Labels]:
        """Return the threshold and the place of each pair that is matched."""
        num_thresholds, num_true = len(THRESHOLDS), len(self._takes_many)
        thresholds = np.repeat(np.arange(num_thresholds), len(self._favourites))
        places = np.tile(self._favourites, num_thresholds)
        # The place of the pair that each true object keeps; those of lower found objects have higher scores.
        nobody = len(self.found)
        kept = np.full(num_thresholds * num_true, nobody)
        shared: list[tuple[Labels, Labels]] = []
        while len(places):
            thresholds, places = self._next_allowed(thresholds, places)
            many = self._takes_many[self.true[places]]
            shared.append((thresholds[many], places[many]))
            thresholds, places = thresholds[~many], places[~many]
            slots = thresholds * num_true + self.true[places]
            before = kept[slots]
            np.minimum.at(kept, slots, places)
            refused = kept[slots] != places
            # Who was kept before and is no longer; once, whoever took the place.
            lost = ~refused & (before != nobody) & (before != places)
            thresholds = np.concatenate([thresholds[refused], thresholds[lost]])
            places = np.concatenate([places[refused], before[lost]])
            again = ~self._is_first[places]
            thresholds, places = thresholds[again], places[again] - 1
        slots = np.flatnonzero(kept != nobody)
        shared.append((slots // max(num_true, 1), kept[slots]))
        return np.concatenate([t for t, _ in shared]), np.concatenate([p for _, p in shared])

    def _next_allowed(self, thresholds: Labels, places: Labels) -> tuple[Labels, Labels]:
        """Return the proposals moved on to pairs with a sufficient IoU, without those that have none."""
        found: list[tuple[Labels, Labels]] = [(thresholds[:0], places[:0])]
        while len(places):
            allowed = self.ious[places] >= self._least[thresholds]
            found.append((thresholds[allowed], places[allowed]))
            left = ~allowed & ~self._is_first[places]
            thresholds, places = thresholds[left], places[left] - 1
        return np.concatenate([t for t, _ in found]), np.concatenate([p for _, p in found])
