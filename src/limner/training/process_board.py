"""Short texts that processes which train together share, beside their collective operations."""

import os
import threading
from datetime import timedelta
from itertools import count
from typing import Protocol

from limner.devices.processes import RESTARTS

ANSWER_SECONDS = 10.0
"""Seconds after which a board that does not answer counts as unreachable."""

_boards = count()  # every process makes them in the same order


class Board(Protocol):
    """Texts by key; whatever cannot be reached raises an exception."""

    def write(self, key: str, text: str) -> None:
        """Write a text."""
        ...

    def write_first(self, key: str, text: str) -> None:
        """Write a text, unless there is one."""
        ...

    def read(self, keys: list[str]) -> dict[str, str]:
        """Return those of the texts that are there."""
        ...


class StoreBoard:
    """A board in the key-value store of PyTorch's process group, through a connection of its own."""

    def __init__(self) -> None:
        # Not every build of PyTorch has these.
        from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

        store = TCPStore(
            os.environ["MASTER_ADDR"],
            int(os.environ["MASTER_PORT"]),
            is_master=False,
            timeout=timedelta(seconds=ANSWER_SECONDS),
        )
        attempt = "-".join(os.environ.get(name, "0") for name in RESTARTS)
        self._store = PrefixStore(f"limner/{attempt}/{next(_boards)}", store)
        self._lock = threading.Lock()

    def write(self, key: str, text: str) -> None:
        """Write a text."""
        with self._lock:
            self._store.set(key, text)

    def write_first(self, key: str, text: str) -> None:
        """Write a text, unless there is one."""
        with self._lock:
            self._store.compare_set(key, "", text)

    def read(self, keys: list[str]) -> dict[str, str]:
        """Return those of the texts that are there."""
        with self._lock:
            there = keys if self._store.check(keys) else [key for key in keys if self._store.check([key])]
            values = self._store.multi_get(there) if there else []
        return {key: value.decode() for key, value in zip(there, values, strict=True)}
