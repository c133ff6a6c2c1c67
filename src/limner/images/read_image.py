"""Read image files as a picture, in RGB order and in the values of the files."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from limner.core.affine import grid_difference
from limner.core.errors import DataError, describe
from limner.core.picture import Geometry, Picture
from limner.core.sample import place_text, size_text
from limner.images.headers import ImageHeader
from limner.images.pixels import Pixels, Reduce, read_header, read_pixels
from limner.images.volumes.dicom import dicom_files, read_series


def image_header(path: Path) -> ImageHeader:
    """Return size, channels, type, alpha, palette and EXIF rotation without decoding a pixel.

    Raises:
        DataError: The file is missing, unreadable, not an image, cut off, empty or too large.
    """
    return read_header(path)


def read_image(path: Path, *more: Path, reduce: Reduce | None = None) -> Picture:
    """Read an image upright: EXIF rotation applied, palettes expanded, alpha dropped.

    Args:
        path: A file of a kind in `IMAGE_SUFFIXES`, recognised by its content; of a GIF the first frame. A
            folder of DICOM files is read as one series.
        more: Files of further channels, of the same size and type.
        reduce: Chooses the factor (1, 2, 4 or 8) by which a JPEG is decoded smaller, by its height and width,
            see `Picture.reduction`. Other files, and images of several files, are read at full size.

    Returns:
        (H, W, C) uint8 or uint16 as stored, float32 for every other type; (D, H, W, C) float32 of a volume.
        Colours are in RGB order. Pixels without data, by GDAL's tag in a GeoTIFF, are not valid and hold the
        mean of the others. A volume has the geometry of its first file.

    Raises:
        DataError: A file is missing, unreadable, not an image, cut off, empty or too large, holds values that
            are not numbers, or differs from the first in size or type.
    """
    if series := dicom_files(path):
        return read_series(series)
    first = _read_one(path, None if more else reduce)
    if not more:
        pixels = np.ascontiguousarray(first.pixels)
        return Picture(pixels, first.geometry, (path,), first.stored, first.valid, first.reduction)
    read = [first]
    for other in more:
        read.append(_read_one(other))
        _refuse_other_grid(path, first, other, read[-1])
    valid = [one.valid for one in read if one.valid is not None]
    return Picture(
        np.concatenate([one.pixels for one in read], axis=-1),
        first.geometry,
        files=(path, *more),
        stored_dtype=first.stored,
        valid=np.logical_and.reduce(valid) if valid else None,
    )


def at_full_size(picture: Picture) -> Picture:
    """Return the picture, read again at full size if it is reduced, for instance to draw on it.

    Raises:
        DataError: As in `read_image`.
    """
    return picture if picture.reduction == 1 else read_image(*picture.files)


class _Read(NamedTuple):
    """One file: (*spatial, C) pixels, the type in which they are stored, (*spatial) where they have data."""

    pixels: Pixels
    stored: str
    valid: npt.NDArray[np.bool_] | None
    geometry: Geometry
    reduction: int = 1


def _refuse_other_grid(path: Path, first: _Read, other: Path, further: _Read) -> None:
    """Refuse a file of further channels that does not fit the first; volumes may differ in type.

    Raises:
        DataError: It has another size, type or position.
    """
    shape, is_volume = first.pixels.shape[:-1], first.pixels.ndim == 4
    if further.pixels.shape[:-1] != shape or (further.stored != first.stored and not is_volume):
        raise DataError(
            describe(
                "The channels of an image differ in size or type",
                where=other,
                found=f"{size_text(further.pixels.shape[:-1])} pixels of {further.stored}",
                expected=f"{size_text(shape)} pixels of {first.stored}, as {path}",
            )
        )
    if difference := grid_difference(first.geometry, further.geometry, shape):
        raise DataError(
            describe(
                "The channels of a volume differ in their position in space",
                where=other,
                found=difference,
                expected=f"the grid of {path}",
                fix="Resample the files of a case to one grid.",
            )
        )


def _read_one(path: Path, reduce: Reduce | None = None) -> _Read:
    pixels, header = read_pixels(path, reduce=reduce)
    stored, valid = pixels.dtype.name, None
    if header.no_data is not None and (empty := _without_data(pixels, header.no_data)).any():
        pixels, valid = _filled(pixels, empty), ~empty
    # Files of one dataset store volumes in several types; their values mean the same.
    if stored not in ("uint8", "uint16") or pixels.ndim == 4:
        pixels = _as_float32(pixels, path)
    return _Read(pixels, stored, valid, header.geometry, header.shape[0] // pixels.shape[0])


def _without_data(pixels: Pixels, no_data: float) -> npt.NDArray[np.bool_]:
    """Return (H, W): True where all channels of (H, W, C) have the value `no_data`."""
    if np.isnan(no_data):
        return np.asarray(np.isnan(pixels).all(axis=-1))
    # In the type of the file: 0.1 as float32 is another number than as float64.
    return np.asarray(
        (pixels == np.array(no_data).astype(pixels.dtype)).all(axis=-1) & _fits(no_data, pixels)
    )


def _fits(number: float, pixels: Pixels) -> bool:
    if pixels.dtype.kind == "f":
        return True
    info = np.iinfo(pixels.dtype)
    return int(info.min) <= number <= int(info.max) and number == int(number)


def _filled(pixels: Pixels, empty: npt.NDArray[np.bool_]) -> Pixels:
    """Return the pixels with the mean of the others where there is no data, so that nothing stands out."""
    filled: Pixels = pixels.copy()
    means = pixels[~empty].mean(axis=0) if not empty.all() else np.zeros(pixels.shape[-1])
    filled[empty] = np.rint(means) if pixels.dtype.kind in "ui" else means
    return filled


def _as_float32(pixels: Pixels, path: Path) -> Pixels:
    numbers = pixels.astype(np.float32, copy=False)
    if pixels.dtype.kind == "f" and not np.isfinite(numbers).all():
        bad = ~np.isfinite(numbers).all(axis=-1)
        raise DataError(
            describe(
                "The image holds values that are not numbers",
                where=path,
                found=f"{int(bad.sum())} of {bad.size} {'voxels' if bad.ndim == 3 else 'pixels'} are NaN or "
                f"infinite, the first at {place_text(np.argwhere(bad)[0])}",
                expected="finite numbers",
                fix="Fill them in the file with a value that means 'nothing here', such as 0.",
            )
        )
    return numbers
