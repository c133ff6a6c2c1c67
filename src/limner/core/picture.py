"""Pictures: an image with its geometry.

Readers return pictures; writers of masks for an image are given its geometry.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[Any]
"""(*spatial, C) uint8, uint16 or float32, in file values."""


@dataclass(frozen=True)
class Geometry:
    """Position of an image's pixels in space; unknown for photographs.

    Attributes:
        spacing_mm: Distance between neighbouring pixels along each spatial axis, in the order of the array's
            axes, or None if unknown or meaningless.
        affine: (D + 1, D + 1) float64 for D spatial axes: maps positions along the array's axes to scanner
            coordinates x, y, z in millimetres; None if unknown.
    """

    spacing_mm: tuple[float, ...] | None = None
    affine: npt.NDArray[np.float64] | None = None


PLAIN = Geometry()
"""Geometry of an image without known position in space."""


@dataclass(frozen=True)
class Picture:
    """One image as read from disk.

    Attributes:
        array: (*spatial, C) in file values.
        geometry: Position of its pixels.
        files: The files that were read: one, or those of its channels or slices in order; empty for an
            image created in memory.
        stored_dtype: Name of the data type in the files, such as ``int16``; empty for an image in memory.
        valid: (*spatial) True where the files have data; None if they have it everywhere. The other pixels
            hold the mean of these.
        reduction: Number of pixels of the file, along each axis, that a pixel of `array` stands for; more
            than 1 if a JPEG was decoded at a part of its size.
    """

    array: Image
    geometry: Geometry = PLAIN
    files: tuple[Path, ...] = ()
    stored_dtype: str = ""
    valid: npt.NDArray[np.bool_] | None = None
    reduction: int = 1

    @property
    def size(self) -> tuple[int, ...]:
        """*spatial of the image in its file."""
        return tuple(side * self.reduction for side in self.array.shape[:-1])

    def __post_init__(self) -> None:
        axes = self.array.ndim - 1
        assert axes >= 2, f"an image is (*spatial, C), found shape {self.array.shape}"
        assert self.valid is None or self.valid.shape == self.array.shape[:-1]
        spacing, affine = self.geometry.spacing_mm, self.geometry.affine
        assert spacing is None or len(spacing) == axes, (spacing, self.array.shape)
        assert affine is None or affine.shape == (axes + 1, axes + 1), (affine, self.array.shape)
