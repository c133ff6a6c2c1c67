"""Types that the options of several networks share."""

from typing import Annotated

from pydantic import AfterValidator, Field


def _check_odd(number: int) -> int:
    if number % 2 == 0:
        raise ValueError(f"must be odd, to have a middle; found {number}, take {number - 1} or {number + 1}")
    return number


Width = Annotated[int, Field(gt=0)]
"""A number of channels, or any other number of one or more."""

OddSide = Annotated[int, Field(gt=0), AfterValidator(_check_odd)]
"""Side of a window that is centred on a pixel."""
