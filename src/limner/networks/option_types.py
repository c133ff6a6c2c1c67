"""Types that the options of several networks share."""

from typing import Annotated

from pydantic import AfterValidator, Field


def _check_odd(number: int) -> int:
    if number % 2 == 0:
        raise ValueError(f"must be odd; found {number}, use {number - 1} or {number + 1}")
    return number


Width = Annotated[int, Field(gt=0)]
"""A number of channels, or any other number from 1."""

OddSide = Annotated[int, Field(gt=0), AfterValidator(_check_odd)]
"""Size of a window centred on a pixel."""
