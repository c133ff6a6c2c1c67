"""Write a folder so that it is there whole or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from limner.storage.disk_problems import naming
from limner.storage.whole_files import flush


@contextmanager
def folder_written_aside(folder: Path) -> Iterator[Path]:
    """Give an empty folder to fill; flushed to the disk, it replaces `folder` when the block ends.

    Args:
        folder: The folder to make or replace as a whole; missing folders above it are made.

    Raises:
        WriteError: The disk is full, read-only, or fails; `folder` is as it was.
    """
    with naming(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.new.", dir=folder.parent))
        try:
            yield aside
            for path in aside.rglob("*"):
                flush(path)
            aside.chmod(0o755)  # a temporary folder is its owner's alone
            _put_in_place(aside, folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def folder_set_aside(folder: Path) -> Path:
    """Return where the old folder lies while the new one takes its place; a kill may leave it there."""
    return folder.with_name(f".{folder.name}.old")


def _put_in_place(aside: Path, folder: Path) -> None:
    """Rename; the old folder is moved away first, since a folder that is not empty cannot be replaced."""
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
