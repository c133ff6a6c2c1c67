"""States of files, by which a change is noticed without reading them."""

import os
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

from limner.storage.containers import file_on_disk

State = tuple[int, int]
"""Size in bytes, and time of the last change in nanoseconds."""


def file_state(path: Path, *, follow_links: bool = True) -> State | None:
    """Return the state of a file, or of the archive that holds an image; None if it cannot be looked at.

    Args:
        path: The file.
        follow_links: Whether the file at the end of a link is meant, instead of the link.
    """
    return state_on_disk(file_on_disk(path), follow_links=follow_links)


def state_on_disk(path: Path, *, follow_links: bool = True) -> State | None:
    """Return the state of a file that is in no archive; for the arguments, see `file_state`."""
    try:
        stat = os.stat(path, follow_symlinks=follow_links)  # noqa: PTH116 - faster, for each image
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns


def state_of(files: Iterable[Path], told: str = "", *, here: bool = False) -> str:
    """Return a short hash of names, sizes and times of files.

    Args:
        files: The files, in any order; missing ones count as such.
        told: Text that is part of the state.
        here: Whether the state is compared on this machine only. Then the times of the entries count too:
            unpacking or copying may keep the time of a content, but not that of its entry.
    """
    digest = blake2b(told.encode("utf-8", "surrogateescape"), digest_size=8)
    for file in sorted(files):
        state = file_state(file)
        said = "missing" if state is None else "{} {}".format(*state)
        if here and state is not None:
            said += f" {file_on_disk(file).stat().st_ctime_ns}"
        digest.update(f"\n{file} {said}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
