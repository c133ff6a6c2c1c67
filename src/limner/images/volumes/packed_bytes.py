"""Read bytes of plain and packed files, never more than expected, and tell when a file is cut off."""

import bz2
import gzip
import io
import zlib
from pathlib import Path

from limner.devices.host import available_bytes
from limner.images.headers import DamagedFileError

GZIP_MAGIC = b"\x1f\x8b"

MAX_PACKING = 1032
"""Maximum ratio of deflate: a packed byte yields at most this many bytes (RFC 1951)."""

_CHUNK = 1 << 14
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


def first_bytes(path: Path, count: int) -> bytes:
    """Return up to `count` bytes from the start of a file, unpacked if it is a gzip file.

    Raises:
        DamagedFileError: The file is empty, or its packed data is damaged.
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(_CHUNK)
        if not start:
            raise DamagedFileError("an empty file (0 bytes)")
        if not start.startswith(GZIP_MAGIC):
            return (start + file.read(max(0, count - len(start))))[:count]
        unpack = zlib.decompressobj(_GZIP_OR_ZLIB)
        out = b""
        try:
            while start and len(out) < count:
                out += unpack.decompress(start, count - len(out))
                start = unpack.unconsumed_tail or file.read(_CHUNK)
        except zlib.error as error:
            raise DamagedFileError(f"the packed data is damaged ({error})") from None
    return out


def refuse_impossible_size(num_bytes: int, stored: int, *, is_packed: bool) -> None:
    """Refuse a header that claims more data than its file can hold, or than fits in memory.

    Args:
        num_bytes: The claimed size of the voxels.
        stored: Bytes of the file.
        is_packed: Whether the voxels are packed.

    Raises:
        DamagedFileError: The claim is impossible, or does not fit in the memory that is available.
    """
    most = stored * MAX_PACKING if is_packed else stored
    if num_bytes > most:
        packed = "packed " if is_packed else ""
        raise DamagedFileError(
            f"the header claims {num_bytes:,} bytes of voxels, and the {packed}file has {stored:,} bytes: "
            "it is cut off, or its header is damaged"
        )
    if num_bytes > (free := available_bytes()):
        raise DamagedFileError(
            f"its {num_bytes / 1e9:.1f} GB of voxels do not fit in the {free / 1e9:.1f} GB of free memory",
            fix="Cut or resample the volume, or use a machine with more memory.",
        )


def whole_file(path: Path, most: int) -> bytes:
    """Return a file's content, unpacked if it is a gzip file.

    Args:
        path: The file.
        most: Bytes that are expected; what follows them is not unpacked.

    Raises:
        DamagedFileError: The packed data is cut off or damaged.
        OSError: The file cannot be read.
    """
    data = path.read_bytes()
    return unpacked_gzip(data, most) if data.startswith(GZIP_MAGIC) else data


def unpacked_gzip(data: bytes, most: int) -> bytes:
    """Return the content of gzip data, at most `most` bytes of it; its checksum is verified.

    Raises:
        DamagedFileError: The data is cut off or damaged.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            out = file.read(most)
            file.read(1)  # the checksum is compared at the end of the data
            return out
    except EOFError:
        raise DamagedFileError(f"the gzip data is cut off after {len(data):,} bytes") from None
    except (OSError, zlib.error) as error:
        raise DamagedFileError(f"the gzip data is damaged ({error})") from None


def unpacked_zlib(data: bytes, most: int) -> bytes:
    """Return the content of zlib data, at most `most` bytes of it.

    Raises:
        DamagedFileError: The data is cut off or damaged.
    """
    unpack = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        out = unpack.decompress(data, most)
    except zlib.error as error:
        raise DamagedFileError(f"the packed voxels are damaged ({error})") from None
    if len(out) < most:
        raise DamagedFileError(f"the packed voxels are cut off after {len(data):,} bytes")
    return out


def unpacked_bzip2(data: bytes, most: int) -> bytes:
    """Return the content of bzip2 data, at most `most` bytes of it.

    Raises:
        DamagedFileError: The data is cut off or damaged.
    """
    try:
        return bz2.BZ2Decompressor().decompress(data, most)
    except (OSError, ValueError) as error:
        raise DamagedFileError(f"the bzip2 data is damaged ({error})") from None
