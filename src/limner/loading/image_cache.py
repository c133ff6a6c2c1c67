"""Decoded images kept in memory for the next pass while there is room.

An endless shuffled sampler visits every image once an epoch, so throwing out old entries for new ones gains
nothing: what fits is kept, the rest is decoded again.
"""

import threading
from dataclasses import dataclass

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

    @property
    def num_bytes(self) -> int:
        """The memory that all of it takes."""
        arrays = [self.image] if self.semantic is None else [self.image, self.semantic]
        if self.segments is not None:
            arrays += [self.segments.layers, self.segments.labels, self.segments.is_crowd]
        return sum(array.nbytes for array in arrays)


BUDGET_SHARE = 0.5
"""Part of the memory available at the start that one cache may take."""

RESERVED_SHARE = 0.2
"""Part of that memory that stays free whoever takes it: caching stops there."""

ASK_AGAIN_BYTES = 64 << 20
"""New bytes between two looks at the available memory."""


class MemoryCache:
    """Keeps decoded images in memory, up to a budget; safe to use from several threads.

    Args:
        budget_bytes: The most to keep; left out, half of the memory that is available now. Either way nothing
            more is kept once only a fifth of that memory is left to the machine.
    """

    def __init__(self, budget_bytes: int | None = None) -> None:
        available = available_bytes()
        self.budget_bytes = int(available * BUDGET_SHARE) if budget_bytes is None else budget_bytes
        self.used_bytes = 0
        self._reserved_bytes = int(available * RESERVED_SHARE)
        self._unasked_bytes = 0
        self._kept: dict[str, Decoded] = {}
        self._lock = threading.Lock()

    def get(self, record: Record) -> Decoded | None:
        """Return what was kept for `record`, or None."""
        return self._kept.get(record.name)

    def put(self, record: Record, decoded: Decoded) -> None:
        """Keep `decoded` if the budget has room for it."""
        size = decoded.num_bytes
        with self._lock:
            if record.name in self._kept:
                return
            if self.used_bytes + size <= self.budget_bytes and self._machine_has_room(size):
                self._kept[record.name] = decoded
                self.used_bytes += size

    def _machine_has_room(self, size: int) -> bool:
        """Look now and then whether others took the memory meanwhile; if so, keep nothing more."""
        self._unasked_bytes += size
        if self._unasked_bytes >= ASK_AGAIN_BYTES:
            self._unasked_bytes = 0
            if available_bytes() < self._reserved_bytes:
                self.budget_bytes = self.used_bytes
                return False
        return True
