"""Decoded images kept for the next pass: in memory while there is room, on disk if a folder is given.

An endless shuffled sampler visits every image once an epoch, so throwing out old entries for new ones gains
nothing: what fits is kept, the rest is decoded again.
"""

import os
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from limner.core.sample import Image, LabelMap, Record
from limner.core.segments import Segments
from limner.devices.host import available_bytes


@dataclass(frozen=True)
class Decoded:
    """An image and its trained labels, all read-only.

    Attributes:
        image: (*S, C).
        semantic: (*S) trained labels, or None where the task has no use for them.
        segments: With trained labels, or None where the task has no use for them.
    """

    image: Image
    semantic: LabelMap | None = None
    segments: Segments | None = None

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return name -> array of everything that is there."""
        named = {"image": self.image, "labels": self.semantic}
        if self.segments is not None:
            named["layers"] = self.segments.layers
            # Small, so they share a file.
            named["segments"] = np.stack([self.segments.labels, self.segments.is_crowd.astype(np.int64)])
        return {name: array for name, array in named.items() if array is not None}

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[Any]]) -> "Decoded":
        """Take back what `arrays` gave."""
        segments = None
        if "layers" in arrays:
            labels, is_crowd = np.array(arrays["segments"])
            segments = Segments(arrays["layers"], labels, is_crowd.astype(bool))
        return cls(arrays["image"], arrays.get("labels"), segments)


BUDGET_SHARE = 0.5
"""Part of the memory available at the start that one cache may take."""

RESERVED_SHARE = 0.2
"""Part of that memory that stays free whoever takes it: caching stops there."""

ASK_AGAIN_BYTES = 64 << 20
"""New bytes between two looks at the available memory."""


class SampleCache(Protocol):
    """Keeps decoded images; safe to use from several threads."""

    def get(self, record: Record) -> Decoded | None:
        """Return what was kept for `record`, or None."""
        ...

    def put(self, record: Record, decoded: Decoded) -> None:
        """Keep `decoded` if there is room."""
        ...


class MemoryCache:
    """Keeps decoded images in memory, up to a budget.

    Args:
        budget_bytes: The most to keep; left out, half of the memory that is available now. Either way nothing
            more is kept once only a fifth of that memory is left to the machine.
        spill: Where images go that do not fit, or None to decode them each time.
    """

    def __init__(self, budget_bytes: int | None = None, *, spill: SampleCache | None = None) -> None:
        available = available_bytes()
        self.budget_bytes = int(available * BUDGET_SHARE) if budget_bytes is None else budget_bytes
        self.used_bytes = 0
        self._reserved_bytes = int(available * RESERVED_SHARE)
        self._unasked_bytes = 0
        self._kept: dict[str, Decoded] = {}
        self._spill = spill
        self._lock = threading.Lock()

    def get(self, record: Record) -> Decoded | None:
        """Return what was kept for `record`, or None."""
        kept = self._kept.get(record.name)
        if kept is None and self._spill is not None:
            return self._spill.get(record)
        return kept

    def put(self, record: Record, decoded: Decoded) -> None:
        """Keep `decoded` if the budget has room for it, else hand it on to the spill."""
        size = sum(array.nbytes for array in decoded.arrays().values())
        with self._lock:
            if record.name in self._kept:
                return
            fits = self.used_bytes + size <= self.budget_bytes and self._machine_has_room(size)
            if fits:
                self._kept[record.name] = decoded
                self.used_bytes += size
        if not fits and self._spill is not None:
            self._spill.put(record, decoded)

    def _machine_has_room(self, size: int) -> bool:
        """Look now and then whether others took the memory meanwhile; if so, keep nothing more."""
        self._unasked_bytes += size
        if self._unasked_bytes >= ASK_AGAIN_BYTES:
            self._unasked_bytes = 0
            if available_bytes() < self._reserved_bytes:
                self.budget_bytes = self.used_bytes
                return False
        return True


class DiskCache:
    """Keeps decoded images as raw arrays in a folder, read back as memory maps: only the crop is touched.

    An entry is written aside and renamed, so it is whole or absent. It belongs to the size and time of the
    files it came from: changed files are decoded anew. A full disk ends the writing with one warning.

    Args:
        folder: Made if absent; may be shared by runs and deleted at any time.
        key: What the labels depend on beyond the files, such as the label table and the task.
        parts: Which arrays make an entry whole: `image` with `labels`, or with `layers` and `segments`.
    """

    def __init__(self, folder: Path, *, key: str = "", parts: Sequence[str] = ("image", "labels")) -> None:
        self.folder = folder
        self._key = key
        self._parts = tuple(parts)
        self._writes = True

    def get(self, record: Record) -> Decoded | None:
        """Return the memory maps of `record`, or None."""
        try:
            stem = self._stem(record)
            arrays = {
                name: np.load(f"{stem}.{name}.npy", mmap_mode="r", allow_pickle=False) for name in self._parts
            }
        except (OSError, ValueError):
            return None
        return Decoded.from_arrays(arrays)

    def put(self, record: Record, decoded: Decoded) -> None:
        """Write the arrays, unless the disk has been found full."""
        if not self._writes:
            return
        try:
            stem = self._stem(record)
            self.folder.mkdir(parents=True, exist_ok=True)
            for name, array in decoded.arrays().items():
                _write_array(Path(f"{stem}.{name}.npy"), array)
        except OSError as error:
            self._writes = False
            warnings.warn(
                f"Decoded images cannot be kept in {self.folder}: {error.strerror or error}. "
                "Training goes on and decodes them each time, which is slower.",
                stacklevel=2,
            )

    def _stem(self, record: Record) -> Path:
        digest = blake2b(f"{self._key}|{record.entry}".encode(), digest_size=16)
        for path in (record.image, *record.labels, *filter(None, [record.valid_region])):
            state = path.stat()
            file = f"{path.absolute()}|{state.st_size}|{state.st_mtime_ns}|"
            digest.update(file.encode("utf-8", "surrogateescape"))
        return self.folder / digest.hexdigest()


def _write_array(path: Path, array: npt.NDArray[Any]) -> None:
    # No flush to the platter: an entry lost in a power cut is decoded again.
    with NamedTemporaryFile(dir=path.parent, prefix=".writing-", delete=False) as file:
        try:
            np.save(file, array, allow_pickle=False)
            file.close()
            os.replace(file.name, path)  # noqa: PTH105 - the name is a str already
        except BaseException:
            file.close()
            Path(file.name).unlink(missing_ok=True)
            raise
