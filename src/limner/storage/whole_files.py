"""Write a file so that it is there whole or not at all.

The content goes to a hidden file beside it, which is renamed at the end: after a crash, a kill or on a full
disk there is the old file or the new one, never half of one. Every file that limner writes goes through here,
except logs that are read while they grow.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from limner.storage.disk_problems import naming

PART = ".part"
"""The end of a hidden file's name; one that is left over was being written when its process was killed."""


def write_whole(path: Path, content: bytes | str, *, durable: bool = False) -> None:
    """Write a file that is at hand in memory.

    Args:
        path: The file to make or replace; missing folders are made.
        content: Text is written as UTF-8.
        durable: As in `written_aside`.

    Raises:
        WriteError: As in `written_aside`.
    """
    with open_whole(path, durable=durable) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def open_whole(path: Path, *, durable: bool = False) -> Iterator[BinaryIO]:
    """Give a file to write into; it is in place when the block ends.

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
    """Give a path to write to, beside the file; what is written there is renamed when the block ends.

    Args:
        path: The file to make or replace; missing folders are made.
        durable: Wait until the content is on the disk, so that a power cut cannot lose it either.

    Raises:
        WriteError: The disk is full, read-only, or fails; `path` is as it was.
    """
    aside = _beside(path)
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield aside
            if durable:
                flush(aside)
            aside.replace(path)
            if durable:
                flush(path.parent)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise


class GrowingFile:
    """A text file that grows as results come, and is in place once its block ends without an error.

    Args:
        path: The file to make or replace; missing folders are made.

    Raises:
        WriteError: The disk is full, read-only, or fails; `path` is as it was.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._aside = _beside(path)
        with naming(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._aside.open("w", encoding="utf-8", newline="")

    def write(self, text: str) -> None:
        """Append text; line ends are written as they are."""
        with naming(self.path):
            self._file.write(text)

    def __enter__(self) -> "GrowingFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with naming(self.path):
                self._file.close()
                if error is None:
                    self._aside.replace(self.path)
        finally:
            self._aside.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Make a file's content, or a folder's renames, survive a power cut, where the system can."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(path: Path) -> Path:
    """Return a hidden name in the same folder that no other process or thread writes to."""
    return path.with_name(f".{path.name[:40]}.{os.getpid()}-{threading.get_ident()}{PART}")
