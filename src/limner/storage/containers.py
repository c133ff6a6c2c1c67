"""Images inside other files, whose paths go on behind the file: ``shards/a.tar/0001.jpg``.

So an archive is used like a folder: its members have a path, a name, and a place in a dataset.
"""

import re
from functools import lru_cache
from pathlib import Path

TAR, TABLE = ".tar", ".parquet"
"""Suffixes of files that hold images."""

_INSIDE = re.compile(rf"(?:{re.escape(TAR)}|{re.escape(TABLE)})(?=/)", re.IGNORECASE)

_KNOWN_FILES: set[Path] = set()
"""Archives and tables that were seen on disk, so that the disk is not asked for each image."""


def container_of(path: Path) -> tuple[Path, str] | None:
    """Return the file that holds an image, and the image's name in it; None if the image has its own file."""
    text = path.as_posix()
    found = _INSIDE.search(text)
    if found is None:
        return None
    holder = _path_of(text[: found.end()])
    # A folder may be named like an archive; an address on the network is a file there, not here.
    if holder not in _KNOWN_FILES:
        if holder.is_dir():
            return None
        if holder.is_file():
            _KNOWN_FILES.add(holder)
    return holder, text[found.end() + 1 :]


@lru_cache(maxsize=4096)
def _path_of(text: str) -> Path:
    """Return a path, the same object each time, which makes it a fast key."""
    return Path(text)


def file_on_disk(path: Path) -> Path:
    """Return the file that has to be looked at to notice that an image has changed."""
    found = container_of(path)
    return path if found is None else found[0]
