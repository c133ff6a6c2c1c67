"""Matches of found words with true ones: the rules of ICDAR 2015 and of DetEval.

ICDAR 2015 (Karatzas et al., ICDAR 2015), with the settings of its evaluation script: a found word is right if
its IoU with a true one is above 0.5; each counts once, matched in the order of the true words, then of the
found ones. True words that are ignored, and found words with more than half of their area in an ignored one,
count neither as right nor as wrong.

DetEval (Wolf and Jolion, IJDAR 2006), with the thresholds of Total-Text (Ch'ng and Chan, ICDAR 2017), 0.7 for
the recall and 0.6 for the precision of areas: a true word can also be found in several pieces, and a
piece can cover several true words, for 0.8 of a match each. It suits data where lines of text can be divided
in several ways.

Shape legend: T true words, F found words.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from limner.core.words import Polygon
from limner.geometry.polygon_shapes import overlap_areas

IOU_THRESHOLD, IGNORED_SHARE = 0.5, 0.5
"""IoU above which a found word is right; part of its area in an ignored word above which it is ignored."""

AREA_RECALL, AREA_PRECISION, DIVIDED, FEWEST_PIECES = 0.7, 0.6, 0.8, 2
"""Thresholds of DetEval; what a divided word counts, and how many words it must meet."""

_LEAST_AREA = 1e-9

Flags = npt.NDArray[np.bool_]
Areas = npt.NDArray[np.float64]


@dataclass(frozen=True)
class WordMatches:
    """Matches in one image.

    Attributes:
        pairs: (M, 2) indices of a true and a found word that match.
        is_counted_true: (T,) whether a true word counts.
        is_counted_found: (F,) whether a found word counts.
        true_credit: Sum over the true words of DetEval's matches, from 0 to the number that counts.
        found_credit: Sum over the found words.
    """

    pairs: npt.NDArray[np.int64]
    is_counted_true: Flags
    is_counted_found: Flags
    true_credit: float
    found_credit: float

    def is_matched(self) -> tuple[Flags, Flags]:
        """Return (T,) and (F,): whether each word is in a pair."""
        true = np.isin(np.arange(len(self.is_counted_true)), self.pairs[:, 0])
        return true, np.isin(np.arange(len(self.is_counted_found)), self.pairs[:, 1])


def match_words(truth: Sequence[Polygon], is_ignored: Flags, found: Sequence[Polygon]) -> WordMatches:
    """Match the found words of an image with its true ones.

    Args:
        truth: T outlines.
        is_ignored: (T,) whether a true word is ignored.
        found: F outlines, in the order in which they are matched.
    """
    shared, true_areas, found_areas = overlap_areas(truth, found)
    in_ignored = shared[is_ignored] > IGNORED_SHARE * found_areas
    counted_found: Flags = np.logical_not(in_ignored.any(0))
    pairs = _pairs(_ratios(shared, true_areas, found_areas), ~is_ignored, counted_found)
    kept = np.ix_(~is_ignored, counted_found)
    credits = deteval_credits(shared[kept], true_areas[~is_ignored], found_areas[counted_found])
    return WordMatches(pairs, ~is_ignored, counted_found, *credits)


def _ratios(shared: Areas, true_areas: Areas, found_areas: Areas) -> Areas:
    union = true_areas[:, None] + found_areas[None, :] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _pairs(iou: Areas, counted_true: Flags, counted_found: Flags) -> npt.NDArray[np.int64]:
    """Return pairs with an IoU above the threshold, each word in one of them, first come first served."""
    candidates = (iou > IOU_THRESHOLD) & counted_true[:, None] & counted_found[None, :]
    taken = np.zeros(iou.shape[1], bool)
    pairs = []
    for true in np.flatnonzero(candidates.any(1)).tolist():
        free = np.flatnonzero(candidates[true] & ~taken)
        if len(free):
            taken[free[0]] = True
            pairs.append((true, int(free[0])))
    return np.array(pairs, np.int64).reshape(-1, 2)


def deteval_credits(shared: Areas, true_areas: Areas, found_areas: Areas) -> tuple[float, float]:
    """Return the sums of DetEval's matches over the true and over the found words.

    The rules are those of Total-Text's script in every detail: fractions of areas are rounded to hundredths,
    and a true word with a single candidate for either threshold is matched, even if these are two words.

    Args:
        shared: (T, F) square pixels in both words of a pair.
        true_areas: (T,) square pixels.
        found_areas: (F,) square pixels.
    """
    recall = np.round(shared / np.maximum(true_areas, _LEAST_AREA)[:, None], 2)
    precision = np.round(shared / np.maximum(found_areas, _LEAST_AREA), 2)
    true_free, found_free = np.ones(len(true_areas), bool), np.ones(len(found_areas), bool)
    true_credit = found_credit = 0.0
    for true in range(len(true_areas)):
        fitting = recall[true] > AREA_RECALL
        if fitting.sum() == 1 == (precision[true] > AREA_PRECISION).sum():
            true_credit, found_credit = true_credit + 1, found_credit + 1
            true_free[true] = False
            found_free &= ~fitting
    for true in np.flatnonzero(true_free).tolist():  # found in pieces
        pieces = (precision[true] >= AREA_PRECISION) & found_free
        worth = _worth(recall[true], pieces, AREA_RECALL)
        if worth and (recall[true] > 0).sum() >= FEWEST_PIECES:
            true_credit, found_credit = true_credit + worth, found_credit + worth * pieces.sum()
            true_free[true] = False
            found_free &= ~pieces
    for one in np.flatnonzero(found_free).tolist():  # covers several
        covered = (recall[:, one] >= AREA_PRECISION) & true_free
        worth = _worth(precision[:, one], covered, AREA_PRECISION)
        is_too_short = covered.sum() == 1 and recall[covered, one][0] < AREA_RECALL
        if worth and not is_too_short and (precision[:, one] > 0).sum() >= FEWEST_PIECES:
            true_credit, found_credit = true_credit + worth * covered.sum(), found_credit + worth
            found_free[one] = False
            true_free &= ~covered
    return true_credit, float(found_credit)


def _worth(shares: Areas, chosen: Flags, least: float) -> float:
    """Return what a match with the chosen words counts: 0 if they share too little of the area."""
    if not chosen.any() or shares[chosen].sum() < least:
        return 0.0
    return 1.0 if chosen.sum() == 1 else DIVIDED
