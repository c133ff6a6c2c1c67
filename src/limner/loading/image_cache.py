"""In-memory cache of decoded images.

Every image is used once per epoch in random order, so replacing old entries with new ones gains nothing:
images are cached until the budget is used up, and the rest is decoded each time.
"""

import threading

from limner.core.sample import Sample
from limner.devices.host import available_bytes
from limner.devices.processes import num_local_processes

BUDGET_SHARE = 0.5
"""Fraction of the initially available memory that the caches of all processes of a training may use."""

RESERVED_SHARE = 0.2
"""Fraction of that memory below which caching stops, whichever process uses the rest."""

ASK_AGAIN_BYTES = 64 << 20
"""Bytes cached between two checks of the available memory."""


class MemoryCache:
    """Cache of decoded images in memory, up to a budget; thread-safe.

    Args:
        budget_bytes: Maximum size; defaults to half of the memory available now, divided by the number of
            processes that train together here. In any case, caching stops when less than a fifth of that
            memory is available.
    """

    def __init__(self, budget_bytes: int | None = None) -> None:
        available = available_bytes()
        usual = int(available * BUDGET_SHARE / num_local_processes())
        self.budget_bytes = usual if budget_bytes is None else budget_bytes
        self.used_bytes = 0
        self._reserved_bytes = int(available * RESERVED_SHARE)
        self._unasked_bytes = 0
        self._kept: dict[str, Sample] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> Sample | None:
        """Return the cached sample of a record name, or None."""
        return self._kept.get(name)

    def put(self, sample: Sample) -> None:
        """Cache `sample` if it fits in the budget."""
        size = sample.nbytes
        with self._lock:
            if sample.name in self._kept:
                return
            if self.used_bytes + size <= self.budget_bytes and self._machine_has_room(size):
                self._kept[sample.name] = sample
                self.used_bytes += size

    def _machine_has_room(self, size: int) -> bool:
        """Check the available memory from time to time; if it is low, stop caching."""
        self._unasked_bytes += size
        if self._unasked_bytes >= ASK_AGAIN_BYTES:
            self._unasked_bytes = 0
            if available_bytes() < self._reserved_bytes:
                self.budget_bytes = self.used_bytes
                return False
        return True
