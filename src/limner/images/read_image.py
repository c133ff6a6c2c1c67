"""Read an image file as (H, W, C) in RGB order and in the file's own values."""

from pathlib import Path

import numpy as np

from limner.core.errors import DataError, describe
from limner.core.sample import Image
from limner.images.headers import ImageHeader
from limner.images.pixels import Pixels, read_header, read_pixels


def image_header(path: Path) -> ImageHeader:
    """Return size, channels, type, alpha, palette and EXIF rotation without decoding a pixel.

    Raises:
        DataError: The file is missing, unreadable, not an image, cut off, empty or too large.
    """
    return read_header(path)


def read_image(path: Path) -> Image:
    """Read an image upright: EXIF rotation applied, palettes expanded, alpha dropped.

    Args:
        path: A JPEG, PNG, TIFF, BMP, WebP, GIF (first frame) or NPY file, recognised by its content.

    Returns:
        (H, W, C) uint8 or uint16 as stored, float32 for every other type. Colours are in RGB order.

    Raises:
        DataError: The file is missing, unreadable, not an image, cut off, empty or too large, or holds
            values that are not numbers.
    """
    pixels, _ = read_pixels(path)
    if pixels.dtype not in (np.uint8, np.uint16):
        pixels = _as_float32(pixels, path)
    return np.ascontiguousarray(pixels)


def _as_float32(pixels: Pixels, path: Path) -> Pixels:
    numbers = pixels.astype(np.float32)
    bad = ~np.isfinite(numbers)
    if bad.any():
        row, column, _ = np.argwhere(bad)[0]
        raise DataError(
            describe(
                "The image holds values that are not numbers",
                where=path,
                found=f"{int(bad.any(axis=2).sum())} of {bad.shape[0] * bad.shape[1]} pixels are NaN or "
                f"infinite, the first at row {row}, column {column}",
                expected="finite numbers",
                fix="Fill them in the file with a value that means 'nothing here', such as 0.",
            )
        )
    return numbers
