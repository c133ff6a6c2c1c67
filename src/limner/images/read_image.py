"""Read image files as a picture, in RGB order and in the values of the files."""

from pathlib import Path

import numpy as np

from limner.core.errors import DataError, describe
from limner.core.picture import Picture
from limner.core.sample import size_text
from limner.images.headers import ImageHeader
from limner.images.pixels import Pixels, read_header, read_pixels


def image_header(path: Path) -> ImageHeader:
    """Return size, channels, type, alpha, palette and EXIF rotation without decoding a pixel.

    Raises:
        DataError: The file is missing, unreadable, not an image, cut off, empty or too large.
    """
    return read_header(path)


def read_image(path: Path, *more: Path) -> Picture:
    """Read an image upright: EXIF rotation applied, palettes expanded, alpha dropped.

    Args:
        path: A file of a kind in `IMAGE_SUFFIXES`, recognised by its content; of a GIF the first frame.
        more: Files of further channels, of the same size and type.

    Returns:
        (H, W, C) uint8 or uint16 as stored, float32 for every other type. Colours are in RGB order.

    Raises:
        DataError: A file is missing, unreadable, not an image, cut off, empty or too large, holds values that
            are not numbers, or differs from the first in size or type.
    """
    pixels, stored = _read_one(path)
    if not more:
        return Picture(np.ascontiguousarray(pixels), files=(path,), stored_dtype=stored)
    channels = [pixels]
    for other in more:
        further, found = _read_one(other)
        if further.shape[:-1] != pixels.shape[:-1] or found != stored:
            raise DataError(
                describe(
                    "The channels of an image differ in size or type",
                    where=other,
                    found=f"{size_text(further.shape[:-1])} pixels of {found}",
                    expected=f"{size_text(pixels.shape[:-1])} pixels of {stored}, as {path}",
                )
            )
        channels.append(further)
    return Picture(np.concatenate(channels, axis=-1), files=(path, *more), stored_dtype=stored)


def _read_one(path: Path) -> tuple[Pixels, str]:
    """Return (H, W, C) pixels, and the type in which they are stored."""
    pixels, _ = read_pixels(path)
    stored = pixels.dtype.name
    return (pixels if stored in ("uint8", "uint16") else _as_float32(pixels, path)), stored


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
