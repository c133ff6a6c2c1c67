"""NPY: an array saved by NumPy: (H, W), (H, W, C), or of a volume (D, H, W, C).

(C, H, W) is taken for an image if channels clearly come first.
"""

import io
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.images.headers import DamagedFileError, ImageHeader

_MOST_CHANNELS_FIRST = 16
"""Maximum length of the first axis for channels to come first, if it is also shorter than both others."""


def npy_header(data: bytes) -> ImageHeader:
    """Read the array's shape and type.

    Raises:
        DamagedFileError: The array is cut off, holds Python objects, or is not an image's shape.
    """
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(file)
    except Exception as error:  # NumPy parses the header as Python text, which fails in many ways
        raise DamagedFileError(f"the NPY header is damaged ({error})") from error
    if dtype.kind == "O":
        found = "the array holds Python objects, as the _seg.npy of Cellpose does"
        raise DamagedFileError(found, fix="Save its masks as PNG or TIFF, in Cellpose with `Save masks`.")
    if dtype.kind not in "buif":
        raise DamagedFileError(f"the array holds {dtype}; an image holds integers or floats")
    if len(shape) not in (2, 3, 4) or 0 in shape:
        expected = "an image is (H, W) or (H, W, C), a volume (D, H, W, C)"
        raise DamagedFileError(f"the array has shape {shape}; {expected}")
    if file.tell() + math.prod(shape) * dtype.itemsize > len(data):
        raise DamagedFileError(f"the NPY is cut off after {len(data)} bytes")
    if len(shape) == 4:
        return ImageHeader("NPY", shape[:3], shape[3], "float32", stored_dtype=dtype.name)
    height, width, channels = _axes(shape)
    name = "uint8" if dtype in (np.dtype(bool), np.dtype(np.uint8)) else "float32"
    return ImageHeader("NPY", (height, width), channels, "uint16" if dtype == np.uint16 else name)


def decode_npy(data: bytes) -> npt.NDArray[Any]:
    """Return the array as (*spatial, C) in its own type; booleans as 0 and 1."""
    array = np.load(io.BytesIO(data), allow_pickle=False)
    if array.dtype == bool:
        array = array.astype(np.uint8)
    if array.ndim == 2:
        return np.asarray(array[..., np.newaxis])
    if array.ndim == 4:
        return np.asarray(array)
    channels_first = _axes(array.shape)[2] == array.shape[0] != array.shape[2]
    return np.ascontiguousarray(array.transpose(1, 2, 0)) if channels_first else np.asarray(array)


def _axes(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return (H, W, C)."""
    if len(shape) == 2:
        return shape[0], shape[1], 1
    first, second, third = shape
    if first <= _MOST_CHANNELS_FIRST and first < second and first < third and third > _MOST_CHANNELS_FIRST:
        return second, third, first
    return first, second, third
