"""States of files, by which a change is noticed without reading them."""

from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path


def state_of(files: Iterable[Path], told: str = "") -> str:
    """Return a short hash of names, sizes and times of files.

    Args:
        files: The files, in any order; missing ones count as such.
        told: Text that is part of the state.
    """
    digest = blake2b(told.encode("utf-8", "surrogateescape"), digest_size=8)
    for file in sorted(files):
        try:
            stat = file.stat()
            state = f"{stat.st_size} {stat.st_mtime_ns}"
        except OSError:
            state = "missing"
        digest.update(f"\n{file} {state}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
