"""Read and write masks as integer values, (H, W) or (D, H, W), before they become trained labels."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from limner.core.errors import DataError, describe
from limner.core.labels import MaskEncoding, ValueMap
from limner.core.picture import PLAIN, Geometry
from limner.core.sample import place_text, size_text
from limner.images.file_names import is_volume_name
from limner.images.headers import ImageHeader
from limner.images.pixels import Pixels, read_header, read_pixels
from limner.images.volumes.volume_writing import write_volume, written_suffix
from limner.storage.whole_files import write_whole

INDEX = MaskEncoding()

ROUNDED = 1e-3
"""Values of floats at most this far from a whole number are rounded; tools that resample leave 0.99999."""


class ColouredMaskError(DataError):
    """A mask that is read as values shows colours.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, so that the file need not be decoded again.
    """

    def __init__(self, message: str, pixels: Pixels) -> None:
        """Keep the pixels."""
        super().__init__(message)
        self.pixels = pixels


_LOSSY_TOLERANCE = 24
"""Maximum difference between the channels of a lossy file that counts as grey with compression noise."""


def read_values(path: Path, encoding: MaskEncoding = INDEX) -> ValueMap:
    """Read the values of a mask.

    A palette PNG or TIFF gives its indices, not its colours. GIF and BMP store even grey through a palette,
    so a palette of greys gives the greys. Fewer than 8 bits of grey are scaled as in every viewer: a
    1-bit mask holds 0 and 255. A constant alpha channel is dropped.

    Args:
        path: A PNG, TIFF, GIF, BMP, WebP, JPEG or NPY file, or a volume.
        encoding: How pixels become values.

    Returns:
        (*spatial) integers: for ``index`` in the file's own type, for ``color`` int32, for ``threshold`` and
        ``objects`` uint8.

    Raises:
        ColouredMaskError: It is in colour, and `encoding` is another one.
        DataError: The file cannot be read, or its pixels do not fit the encoding.
    """
    pixels, header = read_pixels(path, keep_palette=encoding.kind != "color", keep_alpha=True)
    pixels = _without_alpha(pixels, header, path)
    if encoding.kind == "color":
        return packed_colors(pixels, path)
    channel = _one_channel(pixels, header, path)
    if encoding.threshold is not None:
        return np.asarray(channel > encoding.threshold).astype(np.uint8)
    values = _integers(channel, path)
    return (values != 0).astype(np.uint8) if encoding.kind == "objects" else values


def read_valid_region(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Read a field of view: (H, W), True where the image counts.

    Args:
        path: An image file that `read_values` can read.
        shape: (H, W) of the labels it belongs to.

    Raises:
        DataError: The file cannot be read, is in colour, or has another size than the labels.
    """
    pixels, header = read_pixels(path, keep_palette=True, keep_alpha=True)
    channel = _one_channel(_without_alpha(pixels, header, path), header, path)
    if channel.shape != shape:
        raise DataError(
            describe(
                "The field of view and its mask differ in size",
                where=path,
                found=f"{size_text(channel.shape)} pixels (width x height)",
                expected=size_text(shape),
                fix="Correct the file, or set `valid_region` in dataset.yaml.",
            )
        )
    # Compression leaves small values outside the drawing.
    return np.asarray(channel > (127 if header.is_lossy else 0))


def mask_suffix(image: Path) -> str:
    """Return the suffix of the mask that is written for an image: PNG, or for a volume its own kind."""
    return written_suffix(image) if is_volume_name(image.name) or _is_stack(image) else ".png"


def _is_stack(image: Path) -> bool:
    """Tell whether an image is a folder of DICOM files, or a volume whose suffix does not say so."""
    if image.is_dir():
        return True
    if image.suffix.lower() not in (".tif", ".tiff", ".npy"):
        return False
    try:
        return len(read_header(image).shape) == 3
    except DataError:  # it is reported when it is predicted
        return False


def write_values(
    path: Path,
    values: ValueMap,
    encoding: MaskEncoding = INDEX,
    *,
    geometry: Geometry = PLAIN,
    like: Path | None = None,
) -> None:
    """Write a mask that `read_values` reads back as `values`: in the smallest type that holds them.

    Args:
        path: The file, which appears whole or not at all: a PNG, or a volume by its suffix.
        values: (H, W) integers; for ``threshold`` 0 and 1, written as 0 and the largest grey. (D, H, W) of
            a volume, which are written as they are.
        encoding: How values become pixels.
        geometry: That of the image the mask belongs to; a PNG has no place for it.
        like: The image's file; a volume of its kind gets the rest of its header.

    Raises:
        DataError: A value does not fit a PNG.
    """
    if is_volume_name(path.name):
        dtype = np.min_scalar_type(int(values.max())) if int(values.min()) >= 0 else np.dtype(np.int32)
        write_volume(path, values.astype(dtype)[..., np.newaxis], geometry, like=like)
        return
    write_whole(path, encode_values(values, encoding, where=path))


def encode_values(values: ValueMap, encoding: MaskEncoding = INDEX, *, where: Path) -> bytes:
    """Return the PNG that `write_values` writes.

    Args:
        values: As in `write_values`, of an image.
        encoding: As in `write_values`.
        where: The file, for messages.

    Raises:
        DataError: A value does not fit a PNG.
    """
    low, high = int(values.min()), int(values.max())
    limit = {"index": 65535, "color": 0xFFFFFF, "threshold": 1, "objects": 1}[encoding.kind]
    if low < 0 or high > limit:
        raise DataError(
            describe(
                "These values cannot be written as a PNG mask",
                where=where,
                found=f"values from {low} to {high}",
                expected=f"0 to {limit} ({encoding.kind} encoding)",
                fix="Give the classes other values in dataset.yaml; the first of `values` is written.",
            )
        )
    if encoding.kind == "color":
        packed = values.astype(np.uint32)
        pixels = np.stack([packed & 255, packed >> 8 & 255, packed >> 16], axis=-1).astype(np.uint8)  # BGR
    elif encoding.threshold is not None:
        pixels = values.astype(np.uint8) * np.uint8(255)
        if encoding.threshold >= 255:
            pixels = values.astype(np.uint16) * np.uint16(65535)
    else:
        pixels = values.astype(np.uint8 if high < 256 else np.uint16)
    _, encoded = cv2.imencode(".png", pixels)
    content: bytes = encoded.tobytes()
    return content


def _without_alpha(pixels: Pixels, header: ImageHeader, path: Path) -> Pixels:
    if not header.has_alpha or pixels.shape[-1] not in (2, 4):
        return pixels
    colors, alpha = pixels[..., :-1], pixels[..., -1]
    if (alpha != alpha[0, 0]).any() and (colors == colors[0, 0]).all():
        raise DataError(
            describe(
                "The mask's labels are in its transparency",
                where=path,
                found="one colour everywhere, and an alpha channel that varies",
                expected="labels in the grey values or colours",
                fix="Save the alpha channel as a grey mask of its own.",
            )
        )
    return colors


def _one_channel(pixels: Pixels, header: ImageHeader, path: Path) -> npt.NDArray[Any]:
    first = pixels[..., 0]
    if pixels.shape[-1] == 1:
        return first
    if all(np.array_equal(first, pixels[..., c]) for c in range(1, pixels.shape[-1])):
        return first
    if header.is_lossy and pixels.shape[-1] == 3 and _spread(pixels) <= _LOSSY_TOLERANCE:
        return cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)
    if pixels.shape[-1] != 3 or pixels.ndim == 4:  # those of volumes are no colours
        raise DataError(
            describe(
                "The mask has several channels",
                where=path,
                found=f"{pixels.shape[-1]} channels that differ",
                expected="one channel",
                fix="Save the masks with one channel.",
            )
        )
    colors = unique_colors(pixels)
    some = ", ".join(str(tuple(int(v) for v in color)) for color in colors[:6])
    raise ColouredMaskError(
        describe(
            "The mask is in colour",
            where=path,
            found=f"{len(colors)} colours, such as (red, green, blue) {some}",
            expected="one channel whose values are the labels (mask_encoding: index)",
            fix="If each colour means a class, write `mask_encoding: color` and a `color` for each class "
            "into dataset.yaml.",
        ),
        pixels,
    )


def _spread(pixels: Pixels) -> int:
    """Return the maximum difference between the channels of a pixel."""
    return int((pixels.max(axis=2).astype(np.int64) - pixels.min(axis=2)).max())


def unique_colors(pixels: Pixels) -> Pixels:
    """Return the sorted colours, (N, C), of a picture (*spatial, C); fast where runs have one colour."""
    flat = pixels.reshape(-1, pixels.shape[-1])
    is_new = np.ones(len(flat), bool)
    is_new[1:] = (flat[1:] != flat[:-1]).any(axis=1)
    return np.unique(flat[is_new], axis=0)


def packed_colors(pixels: Pixels, path: Path) -> npt.NDArray[np.int32]:
    """Return (*spatial) packed colours of pixels (*spatial, C).

    Raises:
        DataError: They are not 8-bit grey or RGB.
    """
    if pixels.dtype != np.uint8 or pixels.shape[-1] not in (1, 3):
        raise DataError(
            describe(
                "The mask is not in colour",
                where=path,
                found=f"{pixels.shape[-1]} channels of {pixels.dtype}",
                expected="8-bit RGB (mask_encoding: color)",
            )
        )
    red, green, blue = (pixels[..., min(i, pixels.shape[2] - 1)].astype(np.int32) for i in range(3))
    return red << 16 | green << 8 | blue


def _integers(channel: npt.NDArray[Any], path: Path) -> ValueMap:
    if channel.dtype.kind in "ui":
        return channel
    nearest = np.rint(channel)
    whole = np.isfinite(channel) & (np.abs(channel - nearest) <= ROUNDED) & (np.abs(nearest) < 2**31)
    if not whole.all():
        first = tuple(np.argwhere(~whole)[0])
        raise DataError(
            describe(
                "The mask holds values that are not whole numbers",
                where=path,
                found=f"{channel[first]} at {place_text(first)}; {int((~whole).sum())} such pixels",
                expected="whole numbers, one for each class",
                fix="Save labels rather than probabilities, as an 8-bit PNG for instance; resample labels "
                "without interpolation (nearest).",
            )
        )
    return np.asarray(nearest, np.int32)


def count_rounded(path: Path) -> int:
    """Return how many values of a volume of labels are whole numbers only nearly, and are rounded.

    Raises:
        DataError: The file cannot be read.
    """
    if not read_header(path).stored_dtype.startswith("float"):
        return 0
    pixels, _ = read_pixels(path)
    return int((pixels[..., 0] != np.rint(pixels[..., 0])).sum())
