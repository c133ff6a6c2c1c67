"""Formatting of numbers for readers; a missing number is an en dash, never 0 or nan."""

import math

MISSING = "–"

NO_BREAK = "\u00a0"
"""A non-breaking space."""


def score(value: float | None) -> str:
    """Return a score between 0 and 1 with three decimals."""
    return MISSING if value is None or not math.isfinite(value) else f"{value:.3f}"


def percent(value: float | None) -> str:
    """Return a fraction as a percentage: one decimal below 10 %, none above; tiny ones are ``< 0.1 %``."""
    return MISSING if value is None or not math.isfinite(value) else f"{in_percent(value)}{NO_BREAK}%"


def in_percent(value: float) -> str:
    """Return a fraction in per cent without the sign, where the unit is stated elsewhere."""
    if 0 < value < 0.001:
        return "< 0.1"
    # 0.9996 must not be shown as a perfect 100 %.
    if 0.995 <= value < 1:
        return f"{min(value * 100, 99.9):.1f}"
    return f"{value * 100:.{1 if 0 < value < 0.1 else 0}f}"


def count(value: float | None) -> str:
    """Return an integer with thousands separators."""
    return MISSING if value is None or not math.isfinite(value) else f"{round(value):,}"


def compact(value: float) -> str:
    """Return a large count with three digits, such as 1.23 M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f}"


def significant(value: float, digits: int = 3) -> str:
    """Return a number with `digits` significant digits, without trailing zeros."""
    if not math.isfinite(value):
        return MISSING
    return f"{value:,.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"


def duration(seconds: float) -> str:
    """Return a time span in its two largest units."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    units = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    parts = []
    for size, unit in units:
        if whole >= size:
            parts.append(f"{whole // size} {unit}")
        whole %= size
    return " ".join(parts[:2])


def time_span(seconds: float) -> str:
    """Return a short time in milliseconds or seconds."""
    if seconds == 0 or seconds >= 1:
        return f"{significant(seconds)} s"
    return f"{significant(seconds * 1000)} ms"


def shortened(text: str, most: int = 48) -> str:
    """Return a name of at most `most` characters; the middle of a longer one is omitted."""
    if len(text) <= most:
        return text
    return f"{text[: most // 2 - 1]}…{text[len(text) - most // 2 :]}"


def a(noun: str) -> str:
    """Return a noun with its indefinite article, such as ``an accuracy``."""
    return f"{'an' if noun[0] in 'aeio' or noun.startswith(('F1', 'IoU')) else 'a'} {noun}"


def plural(number: int, noun: str, nouns: str = "") -> str:
    """Return ``1 image`` or ``12 images``."""
    return f"{count(number)} {noun if number == 1 else nouns or noun + 's'}"
