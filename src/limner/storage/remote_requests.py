"""Requests to the servers behind addresses such as ``s3://``, ``gs://`` and ``https://``, through fsspec.

A request is repeated if the server fails for a moment, or sends or stores fewer bytes than it should.
"""

import re
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from limner.core.errors import DataError, LimnerError, MissingPartError, describe

WAITS_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Pauses between the attempts of a request."""

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(?=[^/])")
_DRIVERS = {"http": "aiohttp", "https": "aiohttp"}
"""Scheme -> library of its driver, where the error of fsspec does not say how to install it."""

_TOO_MANY_OR_LATE = (408, 409, 429)
"""HTTP errors of the 4xx that are over after a while; 409 is S3's answer to two writers at the same time."""

_NOT_FOUND, _TAKEN = 404, 412

T = TypeVar("T")


class UnreachableError(LimnerError, RuntimeError):
    """A server did not answer, failed in all attempts, or refuses to store; the work can be resumed later."""

    exit_code = 1


class ShortError(Exception):
    """Fewer bytes were received or stored than there are."""


def address_of(path: Path | str) -> str | None:
    """Return the address that a path stands for, or None for a path on disk."""
    text = path if isinstance(path, str) else path.as_posix()
    found = _ADDRESS.match(text)
    if found is None or found[1] == "file":
        return None
    return f"{found[1]}://{text[found.end() :]}"


def files_and_place(address: str) -> tuple[Any, str]:
    """Return the file system of an address, and the place in it.

    Raises:
        DataError: fsspec has no driver for the scheme.
        MissingPartError: fsspec or the driver is not installed.
    """
    try:
        import fsspec
    except ImportError:
        raise MissingPartError("fsspec", f"The address {address}", "pip install fsspec") from None
    return _opened_files(fsspec, address)


def repeat_request(
    request: Callable[[], T], address: str, *, doing: Literal["read", "written"] = "read"
) -> T:
    """Return the result of a request, which is repeated if the server fails.

    Args:
        request: The request; any exception but `LimnerError` is a failure.
        address: The file, for messages.
        doing: What happens to the file, for messages.

    Raises:
        DataError: A file that is read does not exist, or may not be read.
        UnreachableError: All attempts failed, or a file may not be written.
    """
    failure = ""
    for wait in (*WAITS_SECONDS, None):
        try:
            return request()
        except LimnerError:
            raise
        except Exception as error:  # each driver has its own
            if _is_final(error):
                raise _refused_there(address, error, doing) from None
            failure = f"{type(error).__name__.strip('_')}: {error}"
        if wait is not None:
            time.sleep(wait)
    direction = "read from" if doing == "read" else "written to"
    raise UnreachableError(
        describe(
            f"A file could not be {direction} its server",
            where=address,
            found=f"{failure} (attempt {len(WAITS_SECONDS) + 1} of {len(WAITS_SECONDS) + 1})",
            expected="an answer with all bytes",
            fix="Start the same command again when the server works; what is done is kept.",
        )
    )


def is_missing(error: Exception) -> bool:
    """Tell whether the error of a driver means that there is no such file, rather than a failing server."""
    status = _status(error)
    return isinstance(error, FileNotFoundError) if status is None else status == _NOT_FOUND


def is_taken(error: Exception) -> bool:
    """Tell whether the error of a driver means that a file is not created, since there is one."""
    return isinstance(error, FileExistsError) or _status(error) == _TAKEN


def _opened_files(fsspec: Any, address: str) -> tuple[Any, str]:  # noqa: ANN401 - the module
    scheme = address.partition(":")[0]
    try:
        return _file_system(fsspec, scheme), str(fsspec.get_filesystem_class(scheme)._strip_protocol(address))
    except ImportError as error:
        driver = re.search(r"[Ii]nstall (\w+)", str(error))
        library = _DRIVERS.get(scheme) or (driver[1] if driver else f"fsspec's driver of {scheme}")
        raise MissingPartError(library, f"The scheme {scheme}://", f"pip install {library}") from None
    except ValueError as error:
        raise DataError(
            describe(
                "The address cannot be used",
                where=address,
                found=str(error),
                expected="a scheme that fsspec has a driver for, such as s3://, gs:// or https://",
                fix="Use a folder on a disk, or correct the address.",
            )
        ) from None


@lru_cache(maxsize=8)
def _file_system(fsspec: Any, scheme: str) -> Any:  # noqa: ANN401 - of the driver
    return fsspec.filesystem(scheme)


def _status(error: BaseException) -> int | None:
    """Return the status of HTTP behind the error of a driver, 0 for a failure without one, else None.

    fsspec reports every failure of an HTTP server as a missing file, and keeps the cause.
    """
    response = getattr(error, "response", None)
    of_boto = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
    statuses = (getattr(error, name, None) for name in ("status", "status_code", "code"))
    known = next((one for one in statuses if isinstance(one, int)), of_boto.get("HTTPStatusCode"))
    if isinstance(known, int):
        return known
    cause = error.__cause__
    if isinstance(error, FileNotFoundError) and cause is not None and not isinstance(cause, LookupError):
        return _status(cause) or 0
    return None


def _is_final(error: Exception) -> bool:
    """Tell whether an error stays: there is no such file, or it may not be used."""
    status = _status(error)
    if status is not None:
        return 400 <= status < 500 and status not in _TOO_MANY_OR_LATE
    return isinstance(error, FileNotFoundError | PermissionError | NotImplementedError)


def _refused_there(address: str, error: Exception, doing: str) -> LimnerError:
    found = f"{type(error).__name__}: {error}"
    fix = "Check the address, and the credentials of the driver."
    if doing == "read":
        expected = "a file that exists, and permission to read it"
        what = "The file cannot be read from its server"
        return DataError(describe(what, where=address, found=found, expected=expected, fix=fix))
    expected = "a store whose driver can write, and permission to write there"
    what = "The file cannot be written to its server"
    return UnreachableError(describe(what, where=address, found=found, expected=expected, fix=fix))
