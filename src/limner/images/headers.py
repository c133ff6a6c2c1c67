"""Read the header of an image file before any pixel is decoded, and check that the file is complete.

Decoders differ in what they accept silently: some OpenCV versions fill the lost half of a truncated PNG
or JPEG with grey. So the containers are parsed here first, which takes microseconds per file.
References: PNG (ISO/IEC 15948), JPEG (ITU-T T.81), GIF89a, the WebP container, Microsoft's BITMAPINFOHEADER.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from limner.core.picture import PLAIN, Geometry

MAX_PIXELS = 512 * 1024 * 1024
"""Larger images are refused before decoding: 1.5 GB as 8-bit RGB."""

_IS_MARKER = np.array([not (byte in (0, 0xFF) or 0xD0 <= byte <= 0xD7) for byte in range(256)])
"""Whether a byte after 0xFF in a JPEG is a marker rather than compressed data."""

_BETWEEN_SCANS = frozenset({0xC4, 0xCC, 0xDA, 0xDB, 0xDC, 0xDD, 0xFE, *range(0xE0, 0xF0)})
"""JPEG markers of tables, scans and comments."""

_PIXELS_DEPEND_ON = (b"tRNS", b"acTL", b"fcTL", b"fdAT")
"""PNG chunks that are optional by their name but decoded: transparency, and the frames of an animation."""


class DamagedFileError(Exception):
    """The bytes are not a complete image; the message says what is wrong, without the file's name.

    Attributes:
        fix: What the user can do, if that is not to replace the file.
    """

    def __init__(self, found: str, *, fix: str = "") -> None:
        """Keep the message `found` and the `fix`."""
        super().__init__(found)
        self.fix = fix


@dataclass(frozen=True)
class ImageHeader:
    """The header of an image file.

    Attributes:
        container: ``PNG``, ``JPEG``, ``GIF``, ``BMP``, ``WebP``, ``TIFF``, ``Netpbm``, ``NPY``,
            ``JPEG 2000``, ``AVIF`` or ``HEIC``; of volumes ``NIfTI``, ``NRRD``, ``MetaImage`` or ``NPZ``.
        stored_shape: (H, W) as stored, before the EXIF rotation, or (D, H, W).
        channels: Channels of the decoded image: a colour palette counts 3, alpha is not counted.
        dtype: NumPy name of the type of the image: ``uint8``, ``uint16`` or ``float32``, as of all volumes.
        has_alpha: Whether there is a transparency channel, table or colour.
        has_palette: Whether pixels are indices into a table of colours.
        is_lossy: Whether compression changed the pixel values (JPEG, lossy WebP, AVIF, ...).
        orientation: EXIF orientation 1..8; 1 is upright.
        is_inverted: Whether a TIFF says that 0 is white; decoding inverts it.
        no_data: The value of pixels without data by GDAL's tag in a GeoTIFF, perhaps NaN; None without it.
        geometry: Position of the voxels of a volume.
        stored_dtype: NumPy name of the type of a volume's values in the file, once scaled; empty for images.
        palette: Of a PNG with a palette, red, green and blue of each entry as bytes; empty for other files.
        segment_names: Value and name of each segment that the file lists, as 3D Slicer's ``.seg.nrrd``.
    """

    container: str
    stored_shape: tuple[int, ...]
    channels: int
    dtype: str = "uint8"
    has_alpha: bool = False
    has_palette: bool = False
    is_lossy: bool = False
    orientation: int = 1
    is_inverted: bool = False
    no_data: float | None = None
    geometry: Geometry = PLAIN
    stored_dtype: str = ""
    palette: bytes = b""
    segment_names: tuple[tuple[int, str], ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W) upright, or (D, H, W), as in the result of `read_image`."""
        return self.stored_shape[::-1] if self.orientation >= 5 else self.stored_shape


def png_header(data: bytes) -> ImageHeader:
    """Parse a PNG's chunks up to its end chunk.

    Raises:
        DamagedFileError: A chunk is cut off, or the checksum of one that is read is wrong.
    """
    if data[12:16] != b"IHDR" or len(data) < 33:
        raise DamagedFileError("the file ends inside the PNG header")
    width, height, bits, color_type = struct.unpack_from(">IIBB", data, 16)
    alpha, orientation, colors = color_type in (4, 6), 1, b""
    for kind, chunk in _png_chunks(data):
        # A small first letter marks what pixels do not depend on; but transparency and rotation are read.
        matters = not kind[0] & 0x20 or kind in (b"tRNS", b"eXIf")
        if matters and zlib.crc32(chunk[4:-4]) != struct.unpack(">I", chunk[-4:])[0]:
            raise DamagedFileError(f"the checksum of a PNG {kind.decode('latin-1')} block is wrong")
        if kind == b"IEND":
            channels = 1 if color_type in (0, 4) else 3
            dtype = "uint16" if bits == 16 else "uint8"
            is_indexed = color_type == 3
            return ImageHeader(
                "PNG",
                (height, width),
                channels,
                dtype,
                alpha,
                is_indexed,
                orientation=orientation,
                palette=colors if is_indexed else b"",
            )
        alpha |= kind == b"tRNS"
        if kind == b"PLTE":
            colors = bytes(chunk[8:-4])
        elif kind == b"eXIf":
            orientation = exif_orientation(bytes(chunk[8:-4]))
    raise DamagedFileError(f"the PNG is cut off after {len(data)} bytes: its end mark is missing")


def png_of_pixels(data: bytes) -> bytes:
    """Return a whole PNG without the chunks on which its pixels do not depend.

    libpng prints warnings about them, such as of a damaged colour profile, which nothing here uses.
    """
    kept = [chunk for kind, chunk in _png_chunks(data) if not kind[0] & 0x20 or kind in _PIXELS_DEPEND_ON]
    return b"".join((data[:8], *kept))


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the type and the bytes of each whole chunk, with length and checksum."""
    view, position = memoryview(data), 8
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            return
        yield kind, view[position:end]
        position = end


def jpeg_header(data: bytes) -> ImageHeader:
    """Parse a JPEG's segments up to the pixels, then its markers up to the end.

    A JPEG has no checksums: damage that leaves no impossible marker is not found.

    Raises:
        DamagedFileError: The end mark is missing, or there is a marker where none is allowed.
    """
    shape, channels, bits, orientation, scan = (0, 0), 0, 8, 1, 0
    for marker, start, end in _jpeg_segments(data):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            bits, height, width, channels = struct.unpack_from(">BHHB", data, start)
            shape = (height, width)
        elif marker == 0xE1 and data[start : start + 6] == b"Exif\0\0":
            orientation = exif_orientation(data[start + 6 : end])
        scan = end
    # A thumbnail's own end mark is before `scan`.
    if not channels or not _has_end_marker(data, scan):
        raise DamagedFileError(f"the JPEG is cut off after {len(data)} bytes: its end mark is missing")
    if bits != 8:
        raise DamagedFileError(f"the JPEG has {bits} bits per sample; limner reads JPEGs of 8 bits")
    return ImageHeader("JPEG", shape, 1 if channels == 1 else 3, is_lossy=True, orientation=orientation)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (marker, first byte after the length, end) up to and including the first scan's header."""
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            raise DamagedFileError(f"a JPEG marker was expected at byte {position}")
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:  # markers without a length
            position += 2
            continue
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if end > len(data) or end < position + 4:
            return
        yield marker, position + 4, end
        if marker == 0xDA:
            return
        position = end


def _has_end_marker(data: bytes, position: int) -> bool:
    """Go through the markers in a JPEG's compressed data, where only headers of further scans may be.

    Decoders skip what they cannot use and fill the rest with grey.
    """
    compressed = np.frombuffer(data, np.uint8)[position:]
    markers = np.flatnonzero(compressed[:-1] == 0xFF) + position
    # In pixels, 0xFF is followed by 0, by a restart marker (0xD0 to 0xD7) or by another fill byte.
    for marker in markers[_IS_MARKER[np.frombuffer(data, np.uint8)[markers + 1]]].tolist():
        if marker < position:
            continue  # inside a header that was skipped
        kind = data[marker + 1]
        if kind == 0xD9:
            return True
        if kind not in _BETWEEN_SCANS:
            raise DamagedFileError(f"the JPEG's pixels are damaged at byte {marker} of {len(data)}")
        position = marker + 2 + int.from_bytes(data[marker + 2 : marker + 4], "big")
    return False


def gif_header(data: bytes) -> ImageHeader:
    """Read a GIF's screen size and table of colours; a table of greys counts as a grey image.

    Raises:
        DamagedFileError: The file ends inside its header.
    """
    if len(data) < 14:
        raise DamagedFileError("the file ends inside the GIF header")
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    table = data[13 : 13 + 3 * 2 ** ((flags & 7) + 1)] if flags & 0x80 else b""
    # GIF knows only palettes, so a grey image is stored as a palette of greys.
    grey = bool(table) and table[0::3] == table[1::3] == table[2::3]
    return ImageHeader("GIF", (height, width), 1 if grey else 3, has_palette=not grey)


def bmp_header(data: bytes) -> ImageHeader:
    """Read a BMP's header and check that the uncompressed rows are all there.

    Raises:
        DamagedFileError: The file is shorter than its rows.
    """
    if len(data) < 30:
        raise DamagedFileError("the file ends inside the BMP header")
    offset, header_size = struct.unpack_from("<II", data, 10)
    compression, colors, entry = 0, 0, 4
    if header_size == 12:  # OS/2
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        entry = 3
    else:
        if len(data) < 54:
            raise DamagedFileError("the file ends inside the BMP header")
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
        (colors,) = struct.unpack_from("<I", data, 46)
    height = abs(height)  # negative: rows from top to bottom
    if compression in (0, 3) and offset + (width * bits + 31) // 32 * 4 * height > len(data):
        raise DamagedFileError(f"the BMP is cut off after {len(data)} bytes")
    start = 14 + header_size
    table = data[start : min(offset, start + entry * (colors or 2**bits))] if bits <= 8 else b""
    grey = bool(table) and table[0::entry] == table[1::entry] == table[2::entry]
    alpha = bits == 32 and header_size >= 56 and struct.unpack_from("<I", data, 66)[0] != 0
    palette = bits <= 8 and not grey
    return ImageHeader("BMP", (height, width), 1 if grey else 3, has_alpha=alpha, has_palette=palette)


def webp_header(data: bytes) -> ImageHeader:
    """Parse a WebP's chunks.

    Raises:
        DamagedFileError: The file is shorter than it says, or holds no image.
    """
    if len(data) < 30 or 8 + int.from_bytes(data[4:8], "little") > len(data):
        raise DamagedFileError(f"the WebP is cut off after {len(data)} bytes")
    shape, alpha, lossy, orientation, position = (0, 0), False, False, 1, 12
    while position + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        body = data[position + 8 : position + 8 + length]
        if kind == b"VP8X" and length >= 10:
            alpha |= bool(body[0] & 0x10)
            width, height = (1 + int.from_bytes(body[i : i + 3], "little") for i in (4, 7))
            shape = (height, width)
        elif kind == b"VP8L" and length >= 5:
            packed = int.from_bytes(body[1:5], "little")
            alpha |= bool(packed >> 28 & 1)
            shape = shape if any(shape) else ((packed >> 14 & 0x3FFF) + 1, (packed & 0x3FFF) + 1)
        elif kind == b"VP8 " and length >= 10:
            width, height = struct.unpack_from("<HH", body, 6)
            shape, lossy = shape if any(shape) else (height & 0x3FFF, width & 0x3FFF), True
        elif kind == b"EXIF":
            orientation = exif_orientation(body.removeprefix(b"Exif\0\0"))
        position += 8 + length + (length & 1)
    if not any(shape):
        raise DamagedFileError("the WebP holds no image")
    return ImageHeader("WebP", shape, 3, has_alpha=alpha, is_lossy=lossy, orientation=orientation)


def exif_orientation(exif: bytes) -> int:
    """Return the orientation 1..8 of an EXIF block (a TIFF header and one directory); 1 if unreadable."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or len(exif) < 10:
        return 1
    (start,) = struct.unpack_from(order + "I", exif, 4)
    if start + 2 > len(exif):
        return 1
    (count,) = struct.unpack_from(order + "H", exif, start)
    for entry in range(start + 2, min(start + 2 + 12 * count, len(exif) - 11), 12):
        tag, _, _, value = struct.unpack_from(order + "HHIH", exif, entry)
        if tag == 0x0112:
            return value if 1 <= value <= 8 else 1
    return 1
