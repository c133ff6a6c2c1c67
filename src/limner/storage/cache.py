"""What can be computed again, kept in the user's cache folder: one file for each dataset folder."""

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
    """Return limner's folder for what can be computed again; ``LIMNER_CACHE`` overrules the system's."""
    own = os.environ.get("LIMNER_CACHE")
    return Path(own) if own else user_cache_path("limner", appauthor=False)


class Cache:
    """Values of one kind, each computed from a dataset folder.

    Whatever is wrong with the cache (no space, no permission, a damaged file) only costs computing again. The
    reader says whether a value still holds. A dataset has one file, so old values are replaced by new ones.

    Args:
        kind: What is kept, the name of its folder inside the cache folder.
        suffix: Of the files, with its dot.
    """

    def __init__(self, kind: str, *, suffix: str) -> None:
        self._kind = kind
        self._suffix = suffix

    def recall(self, root: Path, read: Callable[[BinaryIO], Value]) -> Value | None:
        """Return what `read` makes of the file about the folder `root`, or None where that fails."""
        # Decompressing and parsing damaged bytes raises nearly anything.
        with suppress(Exception), self._place(root).open("rb") as file:
            return read(file)
        return None

    def keep(self, root: Path, write: Callable[[BinaryIO], object]) -> None:
        """Let `write` fill the file about the folder `root`; a disk that refuses is passed over."""
        with suppress(WriteError), open_whole(self._place(root)) as file:
            write(file)

    def _place(self, root: Path) -> Path:
        whole = root.resolve()
        key = blake2b(str(whole).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
        return cache_folder() / self._kind / f"{whole.name}-{key}{self._suffix}"
