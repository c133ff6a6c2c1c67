"""Decoded images kept in memory for the next pass, while there is room.

An endless shuffled sampler visits every image once an epoch, so throwing out old entries for new ones gains
nothing: what fits is kept, the rest is decoded again.
"""

import threading

from limner.core.sample import Sample
from limner.devices.host import available_bytes

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
        self._kept: dict[str, Sample] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> Sample | None:
        """Return what was kept for the record of a name, or None."""
        return self._kept.get(name)

    def put(self, sample: Sample) -> None:
        """Keep `sample` if the budget has room for it."""
        size = sample.nbytes
        with self._lock:
            if sample.name in self._kept:
                return
            if self.used_bytes + size <= self.budget_bytes and self._machine_has_room(size):
                self._kept[sample.name] = sample
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
