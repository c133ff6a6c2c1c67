"""Finds the threshold of masks that are black and white but for noise or soft edges."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

MAX_LEVEL = 65535
MIN_WHITE = 128
"""Masks whose largest value is smaller hold class numbers, not black and white."""

NEAR_END = 1 / 16
"""Values within this part of the range from an end count to it, black or white."""

MIN_AT_ENDS = 0.8
"""At least this part of the pixels lies near the ends; soft edges and noise are the rest."""

MIN_EACH_END = 0.0005
"""Both ends hold at least this part of the pixels."""


def threshold_between(counts: Mapping[int, int]) -> int | None:
    """Return the threshold of a two-level histogram, or None where it has no two levels.

    The two peaks are the commonest values near either end. The threshold is the middle between them unless the
    smoothed histogram has a clearly deeper valley elsewhere (a tenth of what lies in the middle).

    Args:
        counts: Grey level -> pixels, over all masks.

    Returns:
        t such that pixels greater than t are foreground.
    """
    if not counts or min(counts) < 0 or not MIN_WHITE <= max(counts) <= MAX_LEVEL:
        return None
    levels = np.zeros(max(counts) + 1, np.float64)
    levels[list(counts)] = list(counts.values())
    levels /= levels.sum()
    edge = round(NEAR_END * (len(levels) - 1))
    black, white = levels[: edge + 1], levels[len(levels) - 1 - edge :]
    if black.sum() + white.sum() < MIN_AT_ENDS or min(black.sum(), white.sum()) < MIN_EACH_END:
        return None
    low, high = int(black.argmax()), len(levels) - 1 - edge + int(white.argmax())
    return _valley(levels, low, high)


def _valley(levels: npt.NDArray[np.float64], low: int, high: int) -> int:
    width = max(1, (high - low) // 16)
    smooth = np.convolve(levels, np.full(width, 1 / width), mode="same")
    middle = (low + high) // 2
    inner = smooth[low + width : high - width + 1]
    deepest = low + width + int(inner.argmin())
    return deepest if smooth[deepest] < 0.1 * smooth[middle] else middle


def has_middle_levels(values: Sequence[int]) -> bool:
    """Return whether grey levels halfway between black and white occur, as soft edges make them.

    Class numbers beside a 255 for ignored pixels have none, and class numbers alone seldom reach 200.
    """
    largest = max(values)
    return largest >= 200 and sum(largest / 4 < value < 3 * largest / 4 for value in values) >= 2
