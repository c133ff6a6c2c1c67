"""Read any image file into pixels; all image files are read through here.

A file is recognised by its first bytes, not by its suffix. It is checked for completeness and size before
anything is decoded, and every failure is a `DataError` that names the file.
"""

import io
import math
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

from limner.core.errors import DataError, describe
from limner.core.sample import axes_text
from limner.images import boxed_files, headers
from limner.images.embedded_images import embedded
from limner.images.file_names import image_suffix
from limner.images.headers import MAX_PIXELS, DamagedFileError, ImageHeader
from limner.images.netpbm import netpbm_header
from limner.images.npy import decode_npy, npy_header
from limner.images.tiff import decode_tiff, tiff_header
from limner.images.volumes import KINDS, VolumeKind
from limner.storage.file_contents import content_elsewhere

Pixels = npt.NDArray[Any]
"""(*spatial, C) in the file's own type; RGB or RGBA order."""

Reduce = Callable[[int, int], int]
"""Upright height and width of an image -> one of `REDUCTIONS` that divides both, or 1."""

REDUCTIONS = {
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
}
"""Factors by which libjpeg decodes an image smaller, the largest first -> OpenCV's flag, for colours too."""

# OpenCV 4.11 and later decode to RGB directly; earlier versions need a second pass over the pixels.
_COLOR: int = getattr(cv2, "IMREAD_COLOR_RGB", cv2.IMREAD_COLOR)
_KNOWN = "PNG, JPEG, TIFF, BMP, WebP, GIF, PPM, PGM, NPY, JPEG 2000, AVIF or HEIC"
_SIGNATURES: tuple[tuple[bytes, Callable[[bytes], ImageHeader]], ...] = (
    (b"\x89PNG\r\n\x1a\n", headers.png_header),
    (b"\xff\xd8\xff", headers.jpeg_header),
    (b"GIF8", headers.gif_header),
    (b"BM", headers.bmp_header),
    (b"II*\0", tiff_header),
    (b"MM\0*", tiff_header),
    (b"II+\0", tiff_header),
    (b"MM\0+", tiff_header),
    (b"\x93NUMPY", npy_header),
    (b"P5", netpbm_header),
    (b"P6", netpbm_header),
)
# Other files that are found beside images; recognised only to name them in errors.
_OTHERS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"version https://git-lfs", "a Git LFS pointer rather than the image itself (run `git lfs pull`)"),
    (0, b"%PDF", "a PDF"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip file (a NIfTI volume perhaps, whose name should end in .nii.gz)"),
    (4, b"ftyp", "an MP4 or QuickTime video; extract its frames first"),
    (8, b"AVI ", "an AVI video; extract its frames first"),
    (0, b"\x1aE\xdf\xa3", "a Matroska or WebM video; extract its frames first"),
    (128, b"DICM", "a DICOM file"),
)


_CACHED: ContextVar[dict[Path, ImageHeader] | None] = ContextVar("cached", default=None)


@contextmanager
def cached_headers() -> Iterator[None]:
    """Within the block, reuse the header of a file whose pixels or header were read before."""
    token = _CACHED.set({})
    try:
        yield
    finally:
        _CACHED.reset(token)


def read_header(path: Path) -> ImageHeader:
    """Read the header of an image file, and check that the file is complete.

    Raises:
        DataError: The file is missing, unreadable, not an image, cut off, empty or too large.
    """
    cached = _CACHED.get()
    if cached is None:
        return _header_of(path)
    return cached[path] if path in cached else cached.setdefault(path, _header_of(path))


def _header_of(path: Path) -> ImageHeader:
    kind = KINDS.get(image_suffix(path.name))
    return _header(_read_bytes(path), path) if kind is None else _volume_header(path, kind)


def _volume_header(path: Path, kind: VolumeKind) -> ImageHeader:
    with _readable(path):
        return kind.read_header(path)


def read_pixels(
    path: Path, *, keep_palette: bool = False, keep_alpha: bool = False, reduce: Reduce | None = None
) -> tuple[Pixels, ImageHeader]:
    """Decode an image file, upright.

    Args:
        path: The file.
        keep_palette: Return palette indices, (H, W, 1), rather than colours.
        keep_alpha: Return alpha as the last channel.
        reduce: Chooses the factor by which a JPEG is decoded smaller; None decodes it at full size.

    Returns:
        The pixels, (*spatial, C) in the file's own type, and the header.

    Raises:
        DataError: The file is missing, unreadable, not an image, cut off, empty or too large.
    """
    if (kind := KINDS.get(image_suffix(path.name))) is not None:
        header = read_header(path)
        with _readable(path):
            return kind.decode(path), header
    data = _read_bytes(path)
    header = _header(data, path)
    factor = _reduction(header, reduce)
    try:
        if factor > 1:
            pixels = _decode_opencv(data, header, keep_alpha=False, flags=REDUCTIONS[factor])
        else:
            pixels = _decode(data, header, keep_palette=keep_palette, keep_alpha=keep_alpha)
    except (DamagedFileError, OSError, ValueError, SyntaxError, cv2.error) as error:
        raise _unreadable(path, str(error)) from None
    except PillowImage.DecompressionBombError as error:
        raise _unreadable(path, str(error), fix="Cut the image into tiles.") from None
    except MemoryError:
        found = f"no memory left for its {_pixels(header.stored_shape)}"
        raise _unreadable(path, found, fix="Cut the image into tiles.") from None
    expected = tuple(side // factor for side in header.stored_shape)
    if pixels.shape[:-1] != expected:
        sizes = [_pixels(shape) for shape in (pixels.shape[:-1], expected)]
        raise _unreadable(path, f"{sizes[0]} were decoded of {sizes[1]}")
    if (cached := _CACHED.get()) is not None:
        cached[path] = header
    return _upright(pixels, header.orientation), header


def _reduction(header: ImageHeader, reduce: Reduce | None) -> int:
    """Return the factor by which a file is decoded smaller: 1 unless it is a JPEG."""
    if reduce is None or header.container != "JPEG":
        return 1
    height, width = header.shape
    return reduce(height, width)


def _read_bytes(path: Path) -> bytes:
    data = content_elsewhere(path)
    if data is None:
        with _readable(path):
            data = path.read_bytes()
    if not data:
        raise _unreadable(path, "an empty file (0 bytes)")
    return embedded(data) if path.suffix.lower() == ".json" else data


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn the failures of reading a file into errors that name it."""
    try:
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # reading it might never end
            raise _unreadable(path, "a pipe or a device rather than a file")
        yield
    except FileNotFoundError:
        raise DataError(
            describe("There is no such image file", where=path, fix="Check the spelling of the path.")
        ) from None
    except IsADirectoryError:
        raise DataError(
            describe(
                "An image was expected, but this is a folder",
                where=path,
                fix="Rename the folder so that it does not end like an image file, or move it away.",
            )
        ) from None
    except PermissionError:
        if path.is_dir():  # Windows says so of a folder
            raise DataError(describe("An image was expected, but this is a folder", where=path)) from None
        raise DataError(
            describe(
                "The image file cannot be read for lack of permission",
                where=path,
                found="no read permission",
                fix=f"Grant read permission, for example: chmod u+r '{path}'",
            )
        ) from None
    except DamagedFileError as error:
        raise _unreadable(path, str(error), fix=error.fix) from None
    except MemoryError:
        raise _unreadable(path, "no memory left for its voxels", fix="Cut or resample the volume.") from None
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from None


def _header(data: bytes, path: Path) -> ImageHeader:
    read = next((read for signature, read in _SIGNATURES if data.startswith(signature)), None)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        read = headers.webp_header
    read = read or boxed_files.header_reader(data)
    if read is None:
        raise DataError(
            describe(
                "This is not an image that limner can read",
                where=path,
                found=_name_content(data),
                expected=f"{_KNOWN}, by content",
                fix="Convert it, replace it, or take it (and its mask) out of the folder.",
            )
        )
    try:
        header = read(data)
    except DamagedFileError as error:
        raise _unreadable(path, str(error), fix=error.fix) from None
    except (IndexError, OverflowError, struct.error) as error:
        raise _unreadable(path, str(error)) from None
    sides, num_pixels = header.stored_shape, math.prod(header.stored_shape)
    if min(sides) <= 0:
        raise _unreadable(path, f"an image of {_pixels(sides)}")
    if num_pixels * max(1, header.channels / 4) > MAX_PIXELS:
        channels = f" of {header.channels} channels" if header.channels > 4 else ""
        raise _unreadable(
            path,
            f"{_pixels(sides)}{channels}, {num_pixels / 1e6:.0f} million",
            expected=f"at most {MAX_PIXELS / 1e6:.0f} million pixels of 4 channels in one image",
            fix="Cut the image into tiles; if it is not really that large, its header is damaged.",
        )
    return header


def _pixels(shape: tuple[int, ...]) -> str:
    """Return a size in words: ``640 x 480 pixels (width x height)``, or with depth."""
    return f"{' x '.join(str(side) for side in reversed(shape))} pixels ({axes_text(shape)})"


def _name_content(data: bytes) -> str:
    for offset, signature, name in _OTHERS:
        if data[offset : offset + len(signature)] == signature:
            return name
    start = data[:48]
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in start):
        text = start.decode().split("\n")[0].strip()
        return f"text that begins with {text[:40]!r}"
    if not any(data[:4096]):
        return "nothing but zero bytes (an interrupted download or copy?)"
    return f"{len(data)} bytes of an unknown kind, beginning with {data[:8].hex(' ')}"


def _unreadable(path: Path, found: str, *, expected: str = "", fix: str = "") -> DataError:
    fix = fix or "Replace it with a good copy, or take it (and its mask) out of the folder."
    return DataError(
        describe("The image cannot be read", where=path, found=found, expected=expected, fix=fix)
    )


def _decode(data: bytes, header: ImageHeader, *, keep_palette: bool, keep_alpha: bool) -> Pixels:
    if header.container == "TIFF":
        pixels = decode_tiff(data, keep_palette=keep_palette)
        return pixels if keep_alpha else pixels[..., : header.channels]
    if header.container == "NPY":
        return decode_npy(data)
    if header.container in ("AVIF", "HEIC"):
        return boxed_files.decode_heif(data, header, keep_alpha=keep_alpha)
    if header.container == "GIF" or (keep_palette and header.has_palette):
        return _decode_palette(data, header, keep_palette=keep_palette)
    return _decode_opencv(data, header, keep_alpha=keep_alpha and header.has_alpha)


def _decode_opencv(data: bytes, header: ImageHeader, *, keep_alpha: bool, flags: int = 0) -> Pixels:
    flags |= cv2.IMREAD_GRAYSCALE if header.channels == 1 else _COLOR
    # OpenCV's own handling of orientation differs between containers and versions, so it is switched off.
    flags |= cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    if header.container == "PNG":
        data = headers.png_of_pixels(data)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED if keep_alpha else flags)
    if pixels is None:
        raise DamagedFileError(f"the pixels of the {header.container} are damaged")
    if pixels.ndim == 2:
        return pixels[..., np.newaxis]
    if pixels.shape[2] == 4:
        return cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA, dst=pixels)
    if _COLOR == cv2.IMREAD_COLOR or keep_alpha:
        return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels)
    return pixels


def _decode_palette(data: bytes, header: ImageHeader, *, keep_palette: bool) -> Pixels:
    """Decode with Pillow, which unlike OpenCV gives the indices; of an animation, the first frame."""
    try:
        with PillowImage.open(io.BytesIO(data)) as image:
            image.load()
            if image.mode == "1":
                image = image.convert("L")  # noqa: PLW2901 - 0 and 255
            indices = np.asarray(image)
            if image.mode == "P" and not (keep_palette and header.has_palette):
                indices = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)[indices]
    except UnidentifiedImageError:
        raise DamagedFileError(f"the {header.container} is damaged") from None
    if keep_palette and indices.ndim == 2:
        return indices[..., np.newaxis]
    if indices.ndim == 2:
        return np.repeat(indices[..., np.newaxis], header.channels, axis=2)
    return indices[..., : header.channels]


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo an EXIF orientation: 2 to 4 are flips and a half turn, 5 to 8 swap height and width."""
    if orientation == 1:
        return pixels
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):  # the last stored row (column, once transposed) comes first
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
