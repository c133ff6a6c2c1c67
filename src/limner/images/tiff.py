"""TIFF: 8 and 16 bits and floats, any number of channels, palettes; stacks are volumes.

Pages of one size are the slices of a stack if the file says so (axis Z), or if there are more than
`MOST_PAGES`; else they are channels.

tifffile reads any number of channels but, on its own, only the simple compressions; the others (LZW, JPEG,
fax) go to OpenCV's libtiff, which knows 1, 3 or 4 channels, and those with a palette to Pillow's.
"""

import io
import logging
import struct
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image as PillowImage

from limner.images.headers import DamagedFileError, ImageHeader

# What it logs about odd tags is either read here or an error; without a handler, Python would print it.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

# None, LZMA, Deflate (two numbers for it) and PackBits: what tifffile decodes without further libraries.
_PLAIN = {1, 34925, 8, 32946, 32773}
_CHANNEL_AXES = "SCQI"
_ORIENTATION, _PHOTOMETRIC, _GDAL_NODATA = 274, 262, 42113
_BLACK_IS_0 = 1
_DEPTH, _TIME = "Z", "T"
_PAGES = "QI"

MOST_PAGES = 16
"""Maximum number of pages that are channels, if the file does not say what they are."""


def tiff_header(data: bytes) -> ImageHeader:
    """Read the first series of a TIFF and check that its strips are inside the file.

    Raises:
        DamagedFileError: The file is cut off, or holds a series in time rather than one image or volume.
    """
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            return _header(file, len(data))
    except DamagedFileError:
        raise
    except Exception as error:  # a damaged directory makes tifffile fail in any way: TypeError, KeyError, ...
        raise DamagedFileError(f"the TIFF's directory is damaged ({error})") from error


def _header(file: tifffile.TiffFile, num_bytes: int) -> ImageHeader:
    series, page = file.series[0], file.pages.first
    sizes = dict(zip(_axes(series), series.shape, strict=True))
    if sizes.get(_TIME, 1) > 1:
        raise DamagedFileError(f"the TIFF is a stack of {sizes[_TIME]} time planes, not one image")
    depth = sizes.get(_DEPTH, 1)
    pages = [axis for axis in "CQI" if sizes.get(axis, 1) > 1]
    if pages and sizes.get("S", 1) > 1:
        raise DamagedFileError(f"the TIFF holds {sizes[pages[0]]} colour pages, not one image")
    if page.photometric == tifffile.PHOTOMETRIC.SEPARATED:
        raise DamagedFileError("the TIFF is in printing colours (CMYK); save it as RGB")
    for offset, length in zip(page.dataoffsets, page.databytecounts, strict=False):
        if offset + length > num_bytes:
            raise DamagedFileError(f"the TIFF is cut off after {num_bytes} bytes")
    channels = 1
    for axis in _CHANNEL_AXES:
        channels *= sizes.get(axis, 1)
    palette = page.photometric == tifffile.PHOTOMETRIC.PALETTE
    # 1 and 2 are associated and plain alpha; 0 is just one more channel.
    alpha = any(int(kind) in (1, 2) for kind in page.extrasamples)
    orientation = page.tags.valueof(_ORIENTATION, 1)
    return ImageHeader(
        "TIFF",
        (depth, sizes["Y"], sizes["X"]) if depth > 1 else (sizes["Y"], sizes["X"]),
        3 if palette else channels - (alpha and channels > 1),
        _decoded_type(np.dtype(page.dtype) if page.dtype is not None else np.dtype(np.uint8)),
        has_alpha=alpha,
        has_palette=palette,
        is_lossy=int(page.compression) in (6, 7, 34892),
        orientation=int(orientation) if 1 <= int(orientation) <= 8 else 1,
        is_inverted=page.photometric == tifffile.PHOTOMETRIC.MINISWHITE,
        no_data=_no_data(page),
        stored_dtype=np.dtype(page.dtype or np.uint8).name if depth > 1 else "",
    )


def _axes(series: tifffile.TiffPageSeries) -> str:
    """Return the axes of a series; many pages of unknown meaning are slices."""
    axes, shape = str(series.axes), series.shape
    for place, axis in enumerate(axes):
        if axis in _PAGES and shape[place] > MOST_PAGES and _DEPTH not in axes:
            return axes[:place] + _DEPTH + axes[place + 1 :]
    return axes


def _no_data(page: tifffile.TiffPage) -> float | None:
    """Return the number in GDAL's no-data tag, a text, or None."""
    try:
        return float(str(page.tags.valueof(_GDAL_NODATA, "")).strip("\0 "))
    except ValueError:
        return None


def _decoded_type(dtype: np.dtype[Any]) -> str:
    if dtype in (np.dtype(bool), np.dtype(np.uint8)):
        return "uint8"
    return "uint16" if dtype == np.uint16 else "float32"


def decode_tiff(data: bytes, *, keep_palette: bool) -> npt.NDArray[Any]:
    """Decode the first series of a TIFF.

    Args:
        data: The whole file.
        keep_palette: Return palette indices rather than colours.

    Returns:
        (H, W, C) in the file's own type (a bilevel image as 0 and 255), RGB or RGBA order, not yet rotated;
        (D, H, W, C) of a stack.

    Raises:
        DamagedFileError: Neither decoder can read it.
    """
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            return _decode(file, data, keep_palette=keep_palette)
    except (DamagedFileError, MemoryError):
        raise
    except Exception as error:  # zlib.error, TypeError, ...: see above
        raise DamagedFileError(f"the pixels of the TIFF are damaged ({error})") from error


def _decode(file: tifffile.TiffFile, data: bytes, *, keep_palette: bool) -> npt.NDArray[Any]:
    page, series = file.pages.first, file.series[0]
    if int(page.compression) not in _PLAIN:
        data = _as_stored(data, file)
        if page.photometric == tifffile.PHOTOMETRIC.PALETTE and len(series.pages) == 1:
            indices = _indices(data)
            return indices if keep_palette else _in_colors(indices, page)
        return _decode_compressed(data, page, planes=len(series.pages))
    pixels = _channels_last(series.asarray(), _axes(series))
    if page.photometric == tifffile.PHOTOMETRIC.PALETTE and not keep_palette:
        return _in_colors(pixels, page)
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    return _inverted(pixels, page)


def _inverted(pixels: npt.NDArray[Any], page: tifffile.TiffPage) -> npt.NDArray[Any]:
    """Return pixels with 0 as black, if the page says that 0 is white."""
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and pixels.dtype.kind == "u":
        return np.asarray(np.iinfo(pixels.dtype).max - pixels)
    return pixels


def _in_colors(indices: npt.NDArray[Any], page: tifffile.TiffPage) -> npt.NDArray[np.uint8]:
    """Return (H, W, 3) the colours of palette indices (H, W, 1)."""
    colors = np.asarray(page.colormap)  # (3, 2**bits) of 16 bits each; some programs write 8
    colors = colors >> 8 if colors.max(initial=0) > 255 else colors
    return np.asarray(colors.T.astype(np.uint8)[indices[..., 0]])


def _indices(data: bytes) -> npt.NDArray[Any]:
    """Return (H, W, 1) the palette indices of a compressed TIFF, which OpenCV would give as colours.

    Raises:
        DamagedFileError: Pillow gives no indices.
    """
    with PillowImage.open(io.BytesIO(data), formats=("TIFF",)) as image:
        if image.mode != "P":
            raise DamagedFileError("the palette of a compressed TIFF cannot be read; save it uncompressed")
        return np.asarray(image)[..., np.newaxis]


def _channels_last(pixels: npt.NDArray[Any], axes: str) -> npt.NDArray[Any]:
    depth = axes.find(_DEPTH)
    spatial = [*([depth] if depth >= 0 and pixels.shape[depth] > 1 else []), axes.index("Y"), axes.index("X")]
    order = [i for i in range(len(axes)) if i not in spatial] + spatial
    moved = pixels.transpose(order).reshape(-1, *(pixels.shape[axis] for axis in spatial))
    return np.ascontiguousarray(np.moveaxis(moved, 0, -1))


def _as_stored(data: bytes, file: tifffile.TiffFile) -> bytes:
    """Return a TIFF whose first page says that it is upright and that 0 is black.

    Whether libraries turn and invert pixels depends on their versions; here that is done afterwards.
    """
    changed, page = bytearray(data), file.pages.first
    for code, plain in ((_ORIENTATION, 1), (_PHOTOMETRIC, _BLACK_IS_0)):
        tag = page.tags.get(code)
        if tag is None or tag.dtype != tifffile.DATATYPE.SHORT:
            continue
        if code == _ORIENTATION or tag.value == tifffile.PHOTOMETRIC.MINISWHITE:
            struct.pack_into(f"{file.byteorder}H", changed, tag.valueoffset, plain)
    return bytes(changed)


def _decode_compressed(data: bytes, page: tifffile.TiffPage, *, planes: int) -> npt.NDArray[Any]:
    name = getattr(page.compression, "name", str(page.compression))
    samples = int(page.samplesperpixel)
    pixels = None
    if planes == 1 and samples in (1, 3, 4) and page.photometric != tifffile.PHOTOMETRIC.PALETTE:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise DamagedFileError(
            f"a TIFF with {name} compression and {samples} channels cannot be decoded; save it uncompressed, "
            "with Deflate compression, or as NPY"
        )
    if pixels.ndim == 2:
        return _inverted(pixels[..., np.newaxis], page)
    order = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(pixels, order))
