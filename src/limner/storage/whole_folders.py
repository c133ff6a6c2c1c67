"""Write folders atomically."""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path

from limner.storage.disk_problems import write_errors_for
from limner.storage.folder_lock import process_start
from limner.storage.output_folder import cannot_write
from limner.storage.whole_files import flush


@contextmanager
def folder_written_aside(folder: Path) -> Iterator[Path]:
    """Create a temporary folder, which is flushed to disk and replaces `folder` when the block ends.

    Temporary folders that killed processes left for the same `folder` are removed first.

    Args:
        folder: The folder to create or replace; missing parent folders are created.

    Raises:
        DataError: `folder` is a file.
        WriteError: The disk is full, read-only or failing; `folder` is unchanged.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        raise cannot_write(folder, FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)))
    with write_errors_for(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers_of(folder)
        aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.new.{os.getpid()}-", dir=folder.parent))
        try:
            yield aside
            for path in aside.rglob("*"):
                flush(path)
            aside.chmod(0o755)  # mkdtemp makes it private to the owner
            _put_in_place(aside, folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def folder_set_aside(folder: Path) -> Path:
    """Return the temporary path of the old folder during replacement; it may remain after a kill."""
    return folder.with_name(f".{folder.name}.old")


def tidy_after_kill(folder: Path) -> None:
    """Remove what killed processes left beside a folder, and put the old one back if there is no new one.

    No other process may write the folder.
    """
    for aside in _temporary_folders(folder):
        shutil.rmtree(aside, ignore_errors=True)
    old = folder_set_aside(folder)
    if old.is_dir() and not folder.exists():
        old.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _temporary_folders(folder: Path) -> list[Path]:
    return list(folder.parent.glob(f".{escape(folder.name)}.new.*"))


def _remove_leftovers_of(folder: Path) -> None:
    """Remove the temporary folders of processes that no longer run; others may be writing theirs."""
    for aside in _temporary_folders(folder):
        process = re.search(r"\.new\.(\d+)-[^.]*$", aside.name)
        if process is not None and process_start(int(process[1])) is None:
            shutil.rmtree(aside, ignore_errors=True)


def _put_in_place(aside: Path, folder: Path) -> None:
    """Rename; the old folder is moved away first, since only an empty folder can be replaced."""
    old = folder_set_aside(folder)
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    try:
        aside.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
