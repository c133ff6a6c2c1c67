"""Arrays of a dataset in the user's cache folder, mapped into memory rather than read."""

from collections.abc import Collection
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.errors import WriteError
from limner.storage.cache import cache_folder
from limner.storage.whole_files import open_whole


class ArrayCache:
    """Arrays of one kind, each computed from files of a dataset; one file for each array.

    Each file is written as a whole, so an interrupted process leaves only what is finished. Errors (no space,
    no permission, a damaged file) are ignored: the array is computed again.

    Args:
        kind: Name of the subfolder in the cache folder.
        root: The dataset folder.
    """

    def __init__(self, kind: str, root: Path) -> None:
        whole = root.resolve()
        name = blake2b(str(whole).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
        self._folder = cache_folder() / kind / f"{whole.name}-{name}"

    def load(self, key: str) -> npt.NDArray[Any] | None:
        """Return the array of a key, mapped read-only, or None if there is none."""
        with suppress(Exception):  # NumPy raises almost any error for damaged headers
            loaded: npt.NDArray[Any] = np.load(self._place(key), mmap_mode="r", allow_pickle=False)
            return loaded
        return None

    def save(self, key: str, array: npt.NDArray[Any]) -> None:
        """Write the array of a key."""
        with suppress(WriteError), open_whole(self._place(key)) as file:
            np.save(file, array)

    def keep_only(self, keys: Collection[str]) -> None:
        """Remove the arrays of all other keys."""
        with suppress(OSError):
            for path in self._folder.glob("*.npy"):
                if path.stem not in keys:
                    with suppress(OSError):  # another process uses it
                        path.unlink()

    def _place(self, key: str) -> Path:
        return self._folder / f"{key}.npy"
