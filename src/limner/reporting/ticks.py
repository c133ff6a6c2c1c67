"""Ticks of axes, and smoothing and thinning of curves."""

import math
from collections.abc import Sequence

STEPS = (1.0, 2.0, 2.5, 5.0, 10.0, 20.0)
"""Distances between ticks, times a power of ten."""


def nice_ticks(low: float, high: float, most: int = 5) -> tuple[float, ...]:
    """Return at most `most` + 1 evenly spaced round numbers that enclose `low` and `high`."""
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-30):
        pad = abs(low) * 0.1 or 1.0
        # If all values are 0, the axis starts there: scores are never negative.
        low, high = (low - pad if low else 0.0), high + pad
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    for step in (power * s for s in STEPS):
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        if last - first <= most:
            break
    return tuple(float(f"{i * step:.12g}") for i in range(first, last + 1))


def decades(low: float, high: float) -> tuple[float, ...]:
    """Return the powers of ten that enclose two positive numbers, for a logarithmic axis."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return tuple(10.0**i for i in range(first, max(last, first + 1) + 1))


def smooth(values: Sequence[float], weight: float) -> list[float]:
    """Return the exponential moving average, corrected for its start (Adam's bias correction)."""
    smoothed: list[float] = []
    total, norm = 0.0, 0.0
    for value in values:
        if math.isfinite(value):
            total = weight * total + (1 - weight) * value
            norm = weight * norm + (1 - weight)
        smoothed.append(total / norm if norm else math.nan)
    return smoothed


def thin(values: Sequence[float], most: int) -> list[int]:
    """Return the indices of at most `most` points that keep every peak visible.

    The curve is cut into equal sections; the lowest and highest point of each are included, and so are the
    first and the last point.
    """
    length = len(values)
    if length <= most:
        return list(range(length))
    stretches = most // 2 - 1
    kept = {0, length - 1}
    for i in range(stretches):
        stretch = range(i * length // stretches, (i + 1) * length // stretches)
        finite = [j for j in stretch if math.isfinite(values[j])]
        if finite:
            kept |= {min(finite, key=values.__getitem__), max(finite, key=values.__getitem__)}
    return sorted(kept)
