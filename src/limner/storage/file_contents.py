"""The content of an image's file, wherever it is: on disk, in an archive or a table, or at an address."""

from pathlib import Path

from limner.storage.containers import TABLE, container_of
from limner.storage.remote_files import is_remote, remote_bytes
from limner.storage.table_rows import row_bytes
from limner.storage.tar_members import tar_members


def content_elsewhere(path: Path) -> bytes | None:
    """Return the content of an image that has no file of its own on disk; None if it has one.

    Raises:
        DataError: It cannot be read.
        UnreachableError: It is at an address, whose server fails.
        MissingPartError: fsspec, its driver or pyarrow is needed and not installed.
    """
    holding = container_of(path)
    if holding is None:
        return remote_bytes(path) if is_remote(path) else None
    holder, name = holding
    if holder.as_posix().lower().endswith(TABLE):
        return row_bytes(holder, name)
    return tar_members(holder).read(name)


def file_content(path: Path) -> bytes:
    """Return the content of an image's file.

    Raises:
        OSError: It is a file on disk, and cannot be read.
        DataError: As in `content_elsewhere`.
        UnreachableError: As in `content_elsewhere`.
        MissingPartError: As in `content_elsewhere`.
    """
    found = content_elsewhere(path)
    return path.read_bytes() if found is None else found
