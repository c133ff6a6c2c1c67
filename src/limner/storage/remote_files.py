"""Files at addresses such as ``s3://``, ``gs://`` and ``https://``, read through fsspec and its drivers.

A path of such a file is its address with one slash after the scheme, since paths have no double slashes.
Requests are repeated if the server fails for a moment; what is read has the size that the server states.
"""

import io
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

from limner.core.errors import DataError, describe
from limner.storage.file_states import State
from limner.storage.remote_requests import ShortError, address_of, files_and_place, repeat_request

BLOCK_BYTES = 1 << 20
"""Bytes that are read ahead while the headers of an archive are read."""


def is_remote(path: Path) -> bool:
    """Tell whether a path stands for an address rather than for a file on disk."""
    return address_of(path) is not None and not path.exists()


def remote_bytes(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        DataError: There is no such file, or it may not be read.
        UnreachableError: The server fails.
        MissingPartError: fsspec or the driver of the scheme is not installed.
    """
    address = _address(path)
    files, place = files_and_place(address)

    def read() -> bytes:
        size = files.info(place).get("size")
        data: bytes = files.cat_file(place)
        if size is not None and len(data) != size:
            files.invalidate_cache(place)  # the size may be that of an earlier listing
            raise ShortError(f"{len(data)} of {size} bytes")
        return data

    return repeat_request(read, address)


def remote_part(path: Path, start: int, stop: int, state: State) -> bytes:
    """Return the bytes from `start` to before `stop` of a file.

    Args:
        path: The file.
        start: First byte.
        stop: Byte after the last.
        state: State of the file when the positions were found, see `remote_state`.

    Raises:
        DataError: The file has changed since, or as in `remote_bytes`.
        UnreachableError: The server fails.
    """
    address = _address(path)
    files, place = files_and_place(address)

    def read() -> bytes:
        data: bytes = files.cat_file(place, start=start, end=stop)
        if len(data) != stop - start:
            raise ShortError(f"{len(data)} of {stop - start} bytes from byte {start}")
        return data

    data = repeat_request(read, address)
    if remote_state(path) != state:
        raise DataError(
            describe(
                "A file changed on the server while it was read",
                where=address,
                found="another size, date or ETag than when its members were listed",
                expected="a file that stays as it is",
                fix="Start again when it is no longer being written, or copy it to a disk first.",
            )
        )
    return data


def remote_state(path: Path) -> State:
    """Return the size of a file, and a number that changes with its ETag or date.

    Raises:
        DataError: As in `remote_bytes`.
        UnreachableError: The server fails.
    """
    address = _address(path)
    files, place = files_and_place(address)
    files.invalidate_cache(place)  # of an earlier listing
    found = repeat_request(lambda: files.info(place), address)
    named = {key.casefold(): str(value) for key, value in found.items()}
    kinds = (
        "etag",
        "md5hash",
        "crc32c",
        "last-modified",
        "lastmodified",
        "last_modified",
        "mtime",
        "created",
    )
    said = " ".join(named[key] for key in kinds if key in named)
    number = int.from_bytes(blake2b(said.encode(), digest_size=7).digest(), "big")
    return int(found.get("size") or 0), number


def open_remote(path: Path) -> BinaryIO:
    """Open a file for reading at any position, for the headers of an archive.

    Raises:
        DataError: As in `remote_bytes`.
        UnreachableError: The server fails.
    """
    address = _address(path)
    files, place = files_and_place(address)
    opened: BinaryIO = repeat_request(
        lambda: files.open(place, "rb", block_size=BLOCK_BYTES, cache_type="readahead"), address
    )
    return _Retried(opened, address)  # type: ignore[return-value]  # as much of a file as tarfile needs


def list_remote(address: str) -> list[str]:
    """Return the addresses of the files below a folder, or that a glob matches, sorted; a file is itself.

    Raises:
        DataError: There are none, or as in `remote_bytes`.
        UnreachableError: The server fails.
    """
    files, place = files_and_place(address)
    if any(sign in address for sign in "*["):
        found = repeat_request(lambda: files.glob(place), address)
    elif address.endswith("/"):
        found = repeat_request(lambda: files.find(place), address)
    else:
        return [address]
    addresses = (str(files.unstrip_protocol(name)) for name in found if not name.endswith("/"))
    return sorted(address_of(one) or one for one in addresses)


class _Retried(io.RawIOBase):
    """A file whose reads are repeated when the server fails."""

    def __init__(self, opened: BinaryIO, address: str) -> None:
        self._opened, self._address = opened, address

    def read(self, size: int = -1) -> bytes:
        place = self._opened.tell()

        def read() -> bytes:
            self._opened.seek(place)
            return self._opened.read(size)

        return repeat_request(read, self._address)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._opened.seek(offset, whence)

    def tell(self) -> int:
        return self._opened.tell()

    def close(self) -> None:
        self._opened.close()
        super().close()


def _address(path: Path) -> str:
    address = address_of(path)
    assert address is not None, path
    return address
