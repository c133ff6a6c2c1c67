"""Find the threshold of masks that are black and white except for noise or soft edges."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

MAX_LEVEL = 65535
MIN_WHITE = 128
"""Masks whose largest value is smaller hold class numbers, not black and white."""

MIN_WHITE_LOSSLESS = 200
"""The same for masks without lossy compression, where class numbers are more likely."""

NEAR_END = 1 / 16
"""Values within this fraction of the range from an end count as black or white."""

MIN_AT_ENDS = 0.8
"""Minimum share of pixels near the ends; the rest are soft edges and noise."""

MIN_EACH_END = 0.0005
"""Minimum share of pixels at each end."""


MIN_MIDDLE = 0.005
"""Minimum share of pixels at a third level."""

MIN_OTHER_GREYS = 3
"""Edges of two levels, halved in size, hold few greys, so one of them holds most of the pixels."""


def threshold_between(counts: Mapping[int, int]) -> int | None:
    """Return the threshold of a two-level histogram, or None if it does not have two levels.

    The two peaks are the most common values near either end. The threshold is halfway between them unless
    the smoothed histogram has a clearly deeper valley elsewhere (a tenth of the value halfway).

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


def middle_level(counts: Mapping[int, int]) -> int | None:
    """Return a third level between black and white, or None if the greys between are soft edges or noise.

    Soft edges spread over the greys between. A third level holds most of them: two thirds of the pixels that
    are neither black nor white, within 1/16 of the range from it.
    """
    largest = max(counts)
    edge = round(NEAR_END * largest)
    # Compression goes beyond the white that was drawn, whose peak may be an edge below the largest value.
    white = max((value for value in counts if value >= largest - 2 * edge), key=counts.__getitem__)
    middle = {value: n for value, n in counts.items() if edge < value < white - edge}
    if not middle:
        return None
    peak = max(middle, key=middle.__getitem__)
    near = [value for value in middle if abs(value - peak) <= edge]
    held, all_pixels = sum(middle[value] for value in near), sum(counts.values())
    is_level = held > 2 / 3 * sum(middle.values()) and held > MIN_MIDDLE * all_pixels
    return peak if is_level and len(middle) - len(near) >= MIN_OTHER_GREYS else None


def _valley(levels: npt.NDArray[np.float64], low: int, high: int) -> int:
    # Wide, since gaps between a few discrete greys are not valleys.
    width = max(1, (high - low) // 4)
    smooth = np.convolve(levels, np.full(width, 1 / width), mode="same")
    first, last = low + width * 3 // 4, high - width * 3 // 4
    inner = smooth[first : last + 1]
    lowest = np.flatnonzero(inner <= inner.min() + 1e-12)
    deepest, middle = first + int(lowest[len(lowest) // 2]), (low + high) // 2
    return deepest if smooth[deepest] < 0.1 * smooth[middle] else middle


def is_two_levels(values: Sequence[int]) -> bool:
    """Tell whether the values alone, without lossy compression, show two levels.

    Either grey levels halfway between black and white occur, as soft edges make them; or everything is
    nearly black or nearly white and each of the two comes in variants, as when two people drew the masks.
    Class numbers beside a 255 for ignored pixels fit neither, and class numbers alone seldom reach 200.
    """
    largest = max(values)
    if largest < MIN_WHITE_LOSSLESS:
        return False
    dark = [value for value in values if value <= largest * NEAR_END]
    bright = [value for value in values if value >= largest * (1 - NEAR_END)]
    soft = sum(largest / 4 < value < 3 * largest / 4 for value in values) >= 2
    return soft or (len(dark) + len(bright) == len(values) and len(bright) > 1 and len(dark) <= 2)
