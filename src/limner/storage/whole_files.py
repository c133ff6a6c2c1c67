"""Write files atomically.

The content is written to a hidden file in the same folder, which is renamed at the end: after a crash, a kill
or on a full disk, there is either the old file or the new one, never a partial one. limner writes all files
this way, except logs that are read while they grow.
"""

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from glob import escape
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol

from limner.storage.disk_problems import write_errors_for
from limner.storage.folder_lock import process_start

PART = ".part"
"""Suffix of hidden temporary files; one that remains was being written when its process was killed."""

SHORT = 40
"""Number of characters of a file's name in that of its temporary file."""

_LEFTOVER = re.compile(rf"\..*\.(\d+)-\d+{re.escape(PART)}")


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files of killed processes, at any depth; no other process may write there."""
    for path in folder.rglob(f".*{PART}"):
        if is_leftover(path):
            path.unlink(missing_ok=True)


def is_leftover(path: Path) -> bool:
    """Tell whether a file has the name of a temporary one, which a killed process leaves."""
    return _LEFTOVER.fullmatch(path.name) is not None


def remove_leftovers_of(path: Path) -> None:
    """Remove temporary files of killed processes that were writing this file; others may write it too."""
    for aside in path.parent.glob(f".{escape(path.name[:SHORT])}.*{PART}"):
        found = _LEFTOVER.fullmatch(aside.name)
        if found is not None and process_start(int(found[1])) is None:
            with suppress(OSError):  # Windows keeps what another process has open
                aside.unlink()


class WriteGuard(Protocol):
    """Decides which files may be replaced."""

    def before(self, path: Path) -> None:
        """Raise an error if the file at `path` must not be replaced."""
        ...

    def replacing(self, aside: Path, path: Path) -> None:
        """Take note of a written file, which is renamed to `path` next."""
        ...


_GUARD: ContextVar[WriteGuard | None] = ContextVar("write guard", default=None)


@contextmanager
def guard_writes(guard: WriteGuard) -> Iterator[None]:
    """Ask `guard` about every file that this module replaces inside the block."""
    token = _GUARD.set(guard)
    try:
        yield
    finally:
        _GUARD.reset(token)


def _ask_guard(path: Path) -> None:
    guard = _GUARD.get()
    if guard is not None:
        guard.before(path)


def remove_file(path: Path) -> None:
    """Delete a file if it exists and may be replaced.

    Raises:
        WriteError: The disk is read-only or failing.
    """
    _ask_guard(path)
    with write_errors_for(path):
        path.unlink(missing_ok=True)


def move_file(aside: Path, path: Path) -> None:
    """Rename a file; another one at `path` is replaced if it may be.

    Raises:
        WriteError: The disk is read-only or failing.
    """
    _ask_guard(path)
    guard = _GUARD.get()
    if guard is not None:
        guard.replacing(aside, path)
    with write_errors_for(path):
        aside.replace(path)


def write_whole(path: Path, content: bytes | str, *, durable: bool = False) -> None:
    """Write content from memory to a file.

    Args:
        path: The file to create or replace; missing folders are created.
        content: Bytes, or text, which is written as UTF-8; bytes of file names that are no text, as escapes.
        durable: As in `written_aside`.

    Raises:
        WriteError: As in `written_aside`.
    """
    with open_whole(path, durable=durable) as file:
        file.write(encoded(content) if isinstance(content, str) else content)


def encoded(text: str) -> bytes:
    """Return text as UTF-8; bytes of file names that are no text, as escapes."""
    return text.encode("utf-8", "backslashreplace")


@contextmanager
def open_whole(path: Path, *, durable: bool = False) -> Iterator[BinaryIO]:
    """Open a file for writing; it replaces `path` when the block ends.

    Args:
        path: As in `write_whole`.
        durable: As in `written_aside`.

    Raises:
        WriteError: As in `written_aside`.
    """
    with written_aside(path, durable=durable) as aside, aside.open("wb") as file:
        yield file


@contextmanager
def written_aside(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Return a temporary path in the same folder; it is renamed to `path` when the block ends.

    Args:
        path: The file to create or replace; missing folders are created.
        durable: Wait until the content is on the disk, so that it also survives a power cut.

    Raises:
        WriteError: The disk is full, read-only or failing; `path` is unchanged.
    """
    aside = _beside(path)
    _ask_guard(path)
    with write_errors_for(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield aside
            if durable:
                flush(aside)
            move_file(aside, path)
            if durable:
                flush(path.parent)
        except BaseException:
            with suppress(OSError):  # the first error is the one to report
                aside.unlink(missing_ok=True)
            raise


class GrowingFile:
    """Text file written piece by piece, which replaces `path` when its block ends without an error.

    Args:
        path: The file to create or replace; missing folders are created.

    Raises:
        WriteError: The disk is full, read-only or failing; `path` is unchanged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._aside = _beside(path)
        _ask_guard(path)
        with write_errors_for(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._aside.open("w", encoding="utf-8", errors="backslashreplace", newline="")

    def write(self, text: str) -> None:
        """Append text; line ends are not converted."""
        with write_errors_for(self.path):
            self._file.write(text)

    def __enter__(self) -> "GrowingFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                with write_errors_for(self.path):
                    self._file.close()
                    move_file(self._aside, self.path)
        finally:
            with suppress(OSError):  # the first error is the one to report
                self._file.close()
            with suppress(OSError):
                self._aside.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Flush a file's content, or a folder's renames, to the disk, if the system supports it."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(path: Path) -> Path:
    """Return a hidden path in the same folder, unique to this process and thread."""
    return path.with_name(f".{path.name[:SHORT]}.{os.getpid()}-{threading.get_ident()}{PART}")
