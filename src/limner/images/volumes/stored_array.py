"""The layout of voxels in a file, shared by the formats that store plain arrays.

Shape legend: D, H, W spatial axes, C channels. A file's first axis changes fastest, an array's last one.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.picture import Geometry
from limner.images.headers import DamagedFileError, ImageHeader

MAX_CHANNELS = 4096
"""More channels (or points in time) than this are an error of the header."""


@dataclass(frozen=True)
class StoredArray:
    """The layout of a file's voxels.

    Attributes:
        sizes: Length of each stored axis, the fastest first.
        dtype: NumPy type of a number, with its byte order.
        channel_axis: Position in `sizes` of the axis of channels, or None.
    """

    sizes: tuple[int, ...]
    dtype: np.dtype[Any]
    channel_axis: int | None = None

    def __post_init__(self) -> None:
        """Refuse what is no image or volume.

        Raises:
            DamagedFileError: An axis has no length, or there are other than 2 or 3 spatial axes.
        """
        shown = " x ".join(map(str, self.sizes))
        if min(self.sizes, default=0) < 1:
            raise DamagedFileError(f"an array of {shown or 'no'} voxels")
        if self.dtype.kind not in "buif":
            raise DamagedFileError(f"numbers of type {self.dtype}; a volume holds integers or floats")
        if len(self.shape) not in (2, 3) or self.channels > MAX_CHANNELS:
            raise DamagedFileError(
                f"an array of {shown}", fix="Save a volume of 3 axes, or of 4 with its channels last."
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """(D, H, W) or (H, W)."""
        return tuple(s for axis, s in reversed([*enumerate(self.sizes)]) if axis != self.channel_axis)

    @property
    def channels(self) -> int:
        """C."""
        return 1 if self.channel_axis is None else self.sizes[self.channel_axis]

    def image_header(self, file_type: str, geometry: Geometry) -> ImageHeader:
        """Return the header of an image with these voxels, which are read as float32."""
        return ImageHeader(
            *(file_type, self.shape, self.channels, "float32"),
            geometry=geometry,
            stored_dtype=self.dtype.name,
        )

    @property
    def nbytes(self) -> int:
        """Bytes of all voxels."""
        return math.prod(self.sizes) * self.dtype.itemsize

    def array(self, data: bytes | memoryview) -> npt.NDArray[Any]:
        """Return (*spatial, C) in the machine's byte order.

        Args:
            data: The voxels, possibly followed by other bytes.

        Raises:
            DamagedFileError: There are too few bytes.
        """
        if len(data) < self.nbytes:
            raise DamagedFileError(
                f"the voxels are cut off: {len(data):,} bytes of {self.nbytes:,}",
            )
        numbers = np.frombuffer(data, self.dtype, math.prod(self.sizes)).reshape(self.sizes[::-1])
        numbers = numbers.astype(self.dtype.newbyteorder("="), copy=False)
        if self.channel_axis is None:
            return numbers[..., np.newaxis]
        return np.moveaxis(numbers, len(self.sizes) - 1 - self.channel_axis, -1)


def stored_bytes(pixels: npt.NDArray[Any], *, channels_fastest: bool) -> bytes:
    """Return the voxels of (*spatial, C) as a file stores them, little-endian.

    Args:
        pixels: The array; one channel gets no axis of its own.
        channels_fastest: Whether the channels of a voxel are side by side, rather than one volume after
            the other.
    """
    ordered = pixels if channels_fastest else np.moveaxis(pixels, -1, 0)
    return np.ascontiguousarray(ordered).astype(pixels.dtype.newbyteorder("<"), copy=False).tobytes()
