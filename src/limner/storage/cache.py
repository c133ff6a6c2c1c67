"""Cache of computed values in the user's cache folder, one file per dataset folder."""

import os
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, TypeVar

from platformdirs import user_cache_path

from limner.core.errors import WriteError
from limner.storage.whole_files import open_whole

Value = TypeVar("Value")


def cache_folder() -> Path:
    """Return limner's cache folder; ``LIMNER_CACHE`` overrides the system's default."""
    own = os.environ.get("LIMNER_CACHE")
    return Path(own) if own else user_cache_path("limner", appauthor=False)


class Cache:
    """Cached values of one kind, each computed from a dataset folder.

    Errors of the cache (no space, no permission, a damaged file) are ignored; the value is computed again.
    The caller checks whether a value is still valid. A dataset has one file, so new values replace old ones.

    Args:
        kind: Name of the subfolder in the cache folder.
        suffix: Suffix of the files, with the dot.
    """

    def __init__(self, kind: str, *, suffix: str) -> None:
        self._kind = kind
        self._suffix = suffix

    def load(self, root: Path, read: Callable[[BinaryIO], Value]) -> Value | None:
        """Return the result of `read` on the file for the dataset folder `root`, or None if it fails."""
        # Decompressing and parsing damaged bytes can raise almost any error.
        with suppress(Exception), self._place(root).open("rb") as file:
            return read(file)
        return None

    def save(self, root: Path, write: Callable[[BinaryIO], object]) -> None:
        """Write the file for the dataset folder `root` with `write`; disk errors are ignored."""
        with suppress(WriteError), open_whole(self._place(root)) as file:
            write(file)

    def _place(self, root: Path) -> Path:
        whole = root.resolve()
        key = blake2b(str(whole).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
        return cache_folder() / self._kind / f"{whole.name}-{key}{self._suffix}"
