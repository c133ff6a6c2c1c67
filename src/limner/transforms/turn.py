"""Turning volumes to one orientation, and predictions back, by swapping and reversing axes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.affine import Affine, axis_codes

_OPPOSITE = {"L": "R", "R": "L", "P": "A", "A": "P", "I": "S", "S": "I"}


@dataclass(frozen=True)
class Turn:
    """A change of orientation without interpolation.

    Attributes:
        order: For each axis of the turned array, the axis of the original.
        flipped: Axes of the turned array that are reversed.
    """

    order: tuple[int, ...] = (0, 1, 2)
    flipped: tuple[int, ...] = ()

    def apply(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the turned array, a view; further axes, such as channels, stay last."""
        rest = range(len(self.order), array.ndim)
        return np.asarray(np.flip(array.transpose(*self.order, *rest), self.flipped))

    def undo(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return an array that was turned as it was before, a view."""
        rest = range(len(self.order), array.ndim)
        return np.asarray(np.flip(array, self.flipped).transpose(*np.argsort(self.order), *rest))


UNTURNED = Turn()


def turn_to(codes: str | None, affine: Affine | None) -> Turn:
    """Return the change from the orientation of an array to another.

    Args:
        codes: Directions of the axes (x, y, z) that are wanted, such as ``RAS``; None keeps those it has.
        affine: Affine of the array; without one, its orientation is unknown and kept.
    """
    if codes is None or affine is None or (found := axis_codes(affine)) == codes:
        return UNTURNED
    order, flipped = [], []
    # Codes are those of the file's axes (x, y, z), the reverse of the array's.
    for place, wanted in enumerate(reversed(codes)):
        axis = next(a for a, has in enumerate(reversed(found)) if has in (wanted, _OPPOSITE[wanted]))
        order.append(axis)
        if [*reversed(found)][axis] != wanted:
            flipped.append(place)
    return Turn(tuple(order), tuple(flipped))
