"""Numbers that people and tools write into files; anything that is no usable number reads as None."""

from collections.abc import Sequence
from math import nan

MAX_NUMBER = 10**9
"""Beyond this a number is no coordinate, size or count, and arithmetic with it may overflow."""


def is_number(value: object) -> bool:
    """Tell whether a value is a finite number of at most `MAX_NUMBER`, positive or negative."""
    return type(value) in (int, float) and -MAX_NUMBER <= value <= MAX_NUMBER  # type: ignore[operator]


def are_numbers(values: Sequence[object]) -> bool:
    """Tell whether each value is a number, see `is_number`; several times as fast as asking one by one."""
    if not values:
        return True
    if not {*map(type, values)} <= {int, float}:
        return False
    numbers: Sequence[float] = values  # type: ignore[assignment]
    total = sum(numbers) if min(numbers) >= -MAX_NUMBER and max(numbers) <= MAX_NUMBER else nan
    return total == total  # a NaN hides from min and max, but not from the sum


def numbers_in(value: object) -> list[float] | None:
    """Return a list that holds nothing but numbers, or None."""
    return value if isinstance(value, list) and are_numbers(value) else None


def points_in(value: object) -> list[float] | None:
    """Return the numbers x, y, x, y, ... of a list of [x, y], or None."""
    if not isinstance(value, list) or not all(isinstance(point, list) and len(point) == 2 for point in value):
        return None
    return numbers_in([number for point in value for number in point])


def number_of(text: str | None) -> float | None:
    """Return the number that a text spells, or None."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if is_number(number) else None
