"""Files at addresses such as ``s3://``, ``gs://`` and ``https://``, read through fsspec and its drivers.

A path of such a file is its address with one slash after the scheme, since paths have no double slashes.
Requests are repeated if the server fails for a moment; what is read has the size that the server states.
"""

import io
import re
import time
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from limner.core.errors import DataError, LimnerError, MissingPartError, describe
from limner.storage.file_states import State

WAITS_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Pauses between the attempts of a request."""

BLOCK_BYTES = 1 << 20
"""Bytes that are read ahead while the headers of an archive are read."""

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(?=[^/])")
_DRIVERS = {"http": "aiohttp", "https": "aiohttp"}
"""Scheme -> library of its driver, where the error of fsspec does not say how to install it."""

_TOO_MANY_OR_LATE = (408, 429)
"""HTTP errors of the 4xx that are over after a while."""

T = TypeVar("T")


class UnreachableError(LimnerError, RuntimeError):
    """A server did not answer, or failed, until all attempts were used up; the work can be resumed later."""

    exit_code = 1


class _ShortError(Exception):
    """Fewer bytes were received than the server states."""


def address_of(path: Path | str) -> str | None:
    """Return the address that a path stands for, or None for a path on disk."""
    text = path if isinstance(path, str) else path.as_posix()
    found = _ADDRESS.match(text)
    if found is None or found[1] == "file":
        return None
    return f"{found[1]}://{text[found.end() :]}"


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
    files, place = _files_and_place(address)

    def read() -> bytes:
        size = files.info(place).get("size")
        data: bytes = files.cat_file(place)
        if size is not None and len(data) != size:
            raise _ShortError(f"{len(data)} of {size} bytes")
        return data

    return _repeated(read, address)


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
    files, place = _files_and_place(address)

    def read() -> bytes:
        data: bytes = files.cat_file(place, start=start, end=stop)
        if len(data) != stop - start:
            raise _ShortError(f"{len(data)} of {stop - start} bytes from byte {start}")
        return data

    data = _repeated(read, address)
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
    files, place = _files_and_place(address)
    files.invalidate_cache(place)  # of an earlier listing
    found = _repeated(lambda: files.info(place), address)
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
    files, place = _files_and_place(address)
    opened: BinaryIO = _repeated(
        lambda: files.open(place, "rb", block_size=BLOCK_BYTES, cache_type="readahead"), address
    )
    return _Retried(opened, address)  # type: ignore[return-value]  # as much of a file as tarfile needs


def list_remote(address: str) -> list[str]:
    """Return the addresses of the files below a folder, or that a glob matches, sorted; a file is itself.

    Raises:
        DataError: There are none, or as in `remote_bytes`.
        UnreachableError: The server fails.
    """
    files, place = _files_and_place(address)
    if any(sign in address for sign in "*["):
        found = _repeated(lambda: files.glob(place), address)
    elif address.endswith("/"):
        found = _repeated(lambda: files.find(place), address)
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

        return _repeated(read, self._address)

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


def _files_and_place(address: str) -> tuple[Any, str]:
    """Return the file system of an address, and the place in it."""
    try:
        import fsspec
    except ImportError:
        raise MissingPartError("fsspec", f"Reading {address}", "pip install fsspec") from None
    return _opened_files(fsspec, address)


def _opened_files(fsspec: Any, address: str) -> tuple[Any, str]:  # noqa: ANN401 - the module
    scheme = address.partition(":")[0]
    try:
        return _file_system(fsspec, scheme), str(fsspec.get_filesystem_class(scheme)._strip_protocol(address))
    except ImportError as error:
        driver = re.search(r"[Ii]nstall (\w+)", str(error))
        library = _DRIVERS.get(scheme) or (driver[1] if driver else f"fsspec's driver of {scheme}")
        raise MissingPartError(library, f"Reading {scheme}://", f"pip install {library}") from None
    except ValueError as error:
        raise DataError(
            describe(
                "The address cannot be read",
                where=address,
                found=str(error),
                expected="a scheme that fsspec has a driver for, such as s3://, gs:// or https://",
                fix="Copy the files to a disk, or correct the address.",
            )
        ) from None


@lru_cache(maxsize=8)
def _file_system(fsspec: Any, scheme: str) -> Any:  # noqa: ANN401 - of the driver
    return fsspec.filesystem(scheme)


def _repeated(request: Callable[[], T], address: str) -> T:
    """Return the result of a request, which is repeated if the server fails."""
    failure = ""
    for wait in (*WAITS_SECONDS, None):
        try:
            return request()
        except LimnerError:
            raise
        except Exception as error:  # each driver has its own
            if _is_final(error):
                raise _unreadable_there(address, error) from None
            failure = f"{type(error).__name__.strip('_')}: {error}"
        if wait is not None:
            time.sleep(wait)
    raise UnreachableError(
        describe(
            "A file could not be read from its server",
            where=address,
            found=f"{failure} (attempt {len(WAITS_SECONDS) + 1} of {len(WAITS_SECONDS) + 1})",
            expected="an answer with all bytes",
            fix="Start the same command again when the server works; what is done is kept.",
        )
    )


def _is_final(error: Exception) -> bool:
    """Tell whether an error stays: there is no such file, or it may not be read."""
    # fsspec reports every failure of an HTTP server as a missing file, and keeps the cause.
    cause = error.__cause__ if isinstance(error, FileNotFoundError) and error.__cause__ else error
    status = getattr(cause, "status", None)
    if isinstance(status, int):
        return 400 <= status < 500 and status not in _TOO_MANY_OR_LATE
    return isinstance(cause, FileNotFoundError | PermissionError | NotImplementedError)


def _unreadable_there(address: str, error: Exception) -> DataError:
    return DataError(
        describe(
            "The file cannot be read from its server",
            where=address,
            found=f"{type(error).__name__}: {error}",
            expected="a file that exists, and permission to read it",
            fix="Check the address, and the credentials of the driver.",
        )
    )
