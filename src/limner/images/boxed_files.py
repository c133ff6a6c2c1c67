"""Images in files of nested boxes: JPEG 2000, which OpenCV decodes, and AVIF and HEIC, which Pillow decodes.

References: ISO/IEC 15444-1 (JPEG 2000), ISO/IEC 14496-12 and 23008-12 (boxes, HEIF), AVIF 1.1.
"""

import io
import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError, features

from limner.images.headers import DamagedFileError, ImageHeader

AVIF_BRANDS = frozenset({b"avif", b"avis"})
HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"})
CODESTREAM = b"\xff\x4f\xff\x51"
"""Start of a JPEG 2000 codestream, alone or in the box ``jp2c`` of a JP2."""

_ORIENTATION = 0x0112


def header_reader(data: bytes) -> Callable[[bytes], ImageHeader] | None:
    """Return the function that reads the header of a file of boxes, or None if it is something else."""
    if data[4:8] == b"jP  " or data.startswith(CODESTREAM):
        return jpeg2000_header
    return heif_header if _heif_kind(data) else None


def jpeg2000_header(data: bytes) -> ImageHeader:
    """Read the size, components and compression from the codestream's main header.

    Raises:
        DamagedFileError: The file is cut off, holds no codestream, or one that cannot be read as it is.
    """
    stream = data
    if data[4:8] == b"jP  ":
        boxes = {kind: data[start:end] for kind, start, end in _boxes(data)}
        stream = boxes.get(b"jp2c", b"")
        if b"pclr" in boxes.get(b"jp2h", b""):
            raise DamagedFileError("a JPEG 2000 with a palette, which is not read", fix="Save it as PNG.")
    if not stream.startswith(CODESTREAM) or not stream.rstrip(b"\0").endswith(b"\xff\xd9"):
        raise DamagedFileError(f"the JPEG 2000 is cut off after {len(data)} bytes: its end mark is missing")
    right, bottom, left, top = struct.unpack_from(">4I", stream, 8)
    (components,) = struct.unpack_from(">H", stream, 40)
    bits = max(1 + (depth & 0x7F) for depth in stream[42 : 42 + 3 * components : 3])
    if bits > 16 or components > 4:
        raise DamagedFileError(f"a JPEG 2000 of {components} components of {bits} bits, which is not read")
    return ImageHeader(
        "JPEG 2000",
        (bottom - top, right - left),
        1 if components <= 2 else 3,
        "uint16" if bits > 8 else "uint8",
        has_alpha=components == 4,
        is_lossy=_is_irreversible(stream),
    )


def _is_irreversible(stream: bytes) -> bool:
    """Tell whether the main header states the wavelet that rounds, rather than the one of whole numbers."""
    position = 2
    while stream[position] == 0xFF and stream[position + 1] != 0x90:  # 0x90 starts the first tile
        if stream[position + 1] == 0x52:
            return stream[position + 13] == 0
        position += 2 + int.from_bytes(stream[position + 2 : position + 4], "big")
    return False


def heif_header(data: bytes) -> ImageHeader:
    """Read size and channels of an AVIF or HEIC; its compression counts as lossy.

    Raises:
        DamagedFileError: It cannot be read, has more than 8 bits a sample, or no library here reads it.
    """
    if any(end > len(data) for _, _, end in _boxes(data)):
        raise DamagedFileError(f"the {_heif_kind(data)} is cut off after {len(data)} bytes")
    # Pillow would reduce more bits to 8.
    place = data.find(b"pixi") + 4
    bits = max(data[place + 5 : place + 5 + data[place + 4]], default=8) if place > 4 else 8
    if bits > 8:
        found = f"{bits} bits per sample; limner reads AVIF and HEIC of 8 bits"
        raise DamagedFileError(found, fix="Save it as PNG or TIFF of 16 bits.")
    with _opened(data) as image:
        turned = image.getexif().get(_ORIENTATION, 1)
        return ImageHeader(
            _heif_kind(data),
            (image.height, image.width),
            1 if image.mode in ("L", "LA") else 3,
            has_alpha=image.mode.endswith("A"),
            is_lossy=True,
            orientation=turned if turned in range(1, 9) else 1,
        )


def decode_heif(data: bytes, header: ImageHeader, *, keep_alpha: bool) -> npt.NDArray[Any]:
    """Return (H, W, C) uint8 of an AVIF or HEIC, as stored.

    Raises:
        DamagedFileError: It cannot be decoded.
    """
    with _opened(data) as image:
        pixels = np.asarray(image)
    pixels = pixels[..., np.newaxis] if pixels.ndim == 2 else pixels
    return pixels if keep_alpha else pixels[..., : header.channels]


def _heif_kind(data: bytes) -> str:
    """Return ``AVIF`` or ``HEIC`` as the brands of the first box say, or an empty string."""
    if data[4:8] != b"ftyp":
        return ""
    listed = data[8 : int.from_bytes(data[:4], "big")]
    brands = {listed[i : i + 4] for i in range(0, min(len(listed), 256), 4)}
    return "AVIF" if brands & AVIF_BRANDS else "HEIC" if brands & HEIC_BRANDS else ""


def _opened(data: bytes) -> PillowImage.Image:
    _load_decoder(_heif_kind(data))
    try:
        return PillowImage.open(io.BytesIO(data))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise DamagedFileError(f"the {_heif_kind(data)} is damaged ({error})") from None


def _load_decoder(kind: str) -> None:
    """Make Pillow read this kind of file."""
    if kind == "AVIF":
        if not features.check("avif"):
            install = "Install a Pillow that reads AVIF: pip install 'pillow>=11.3'; or save it as PNG."
            raise DamagedFileError("an AVIF image, which this Pillow cannot read", fix=install)
        return
    try:
        import pillow_heif
    except ImportError:
        install = "Install a reader: pip install pillow-heif; or save the photo as PNG or JPEG."
        raise DamagedFileError("a HEIC photo, which needs a library that is missing", fix=install) from None
    pillow_heif.register_heif_opener()


def _boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind, start and end of the content of each outer box; the last may end beyond the data."""
    position = 0
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        start = position + 8
        if length == 1:
            length = int.from_bytes(data[start : start + 8], "big")
            start += 8
        end = len(data) if length == 0 else position + length
        if end < start:
            return
        yield kind, start, end
        position = end
