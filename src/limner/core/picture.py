"""Pictures: an image as it crosses the house, its values with where they lie in space.

Readers return pictures; whoever writes what belongs to one is given its geometry back.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[Any]
"""(*spatial, C) uint8, uint16 or float32, in the values of the file."""


@dataclass(frozen=True)
class Geometry:
    """Where the pixels of an image lie in space; nothing is known of a photograph.

    Attributes:
        spacing_mm: Distance between neighbouring pixels along each spatial axis, in the order of the array's
            axes, or None where it is unknown or meaningless.
        affine: (D + 1, D + 1) float64 for D spatial axes: takes a position along the array's axes to x, y, z
            in millimetres, as scanners have them; None where it is unknown.
    """

    spacing_mm: tuple[float, ...] | None = None
    affine: npt.NDArray[np.float64] | None = None


PLAIN = Geometry()
"""Of an image that has no place in space."""


@dataclass(frozen=True)
class Picture:
    """One image as it was read.

    Attributes:
        array: (*spatial, C) in the values of the file.
        geometry: Where its pixels lie.
        files: What was read: one file, or those of its channels or slices in order; none for an image that
            was made in memory.
        stored_dtype: Name of the type that the files hold, such as ``int16``; empty for an image in memory.
    """

    array: Image
    geometry: Geometry = PLAIN
    files: tuple[Path, ...] = ()
    stored_dtype: str = ""

    def __post_init__(self) -> None:
        axes = self.array.ndim - 1
        assert axes >= 2, f"an image is (*spatial, C), found shape {self.array.shape}"
        spacing, affine = self.geometry.spacing_mm, self.geometry.affine
        assert spacing is None or len(spacing) == axes, (spacing, self.array.shape)
        assert affine is None or affine.shape == (axes + 1, axes + 1), (affine, self.array.shape)
