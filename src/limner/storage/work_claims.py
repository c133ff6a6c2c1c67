"""Claims of processes on parts of shared work: files in a folder that all of them see.

Claiming a part creates ``PART.0``, which succeeds for one process only. The file names the process, which
renews it while it works. A claim has ended if its process has, or, where that cannot be seen from here,
if it was not renewed for `SILENT_SECONDS`. Another process then creates ``PART.1``, and so on: files of
others are never moved or removed, so two processes cannot take over the same claim.
"""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

from limner.storage.folder_lock import has_ended, this_process
from limner.storage.remote_requests import UnreachableError
from limner.storage.shared_folder import SharedFolder

BEAT_SECONDS = 10.0
"""Time after which a process renews its claims."""

SILENT_SECONDS = 300.0
"""Time without a renewal after which a process on another host counts as ended."""

EMPTY_SECONDS = 10.0
"""The same for a claim that says nothing yet: its process was killed while it wrote it."""


class WorkClaims:
    """The claims in a folder, as one of the processes sees them.

    Args:
        folder: The folder, which is created by the caller.
        silent_seconds: Defaults to `SILENT_SECONDS`; replaced in tests.
        clock: Returns seconds. Only this process's clock is used, since those of hosts differ and may jump.
    """

    def __init__(
        self,
        folder: SharedFolder,
        *,
        silent_seconds: float = SILENT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._silent_seconds, self._clock = silent_seconds, clock
        # Part -> name of its file, and what is in it.
        self._held: dict[str, tuple[str, dict[str, Any]]] = {}
        # Name of a claim -> what differs after each renewal, and when that was first seen.
        self._seen: dict[str, tuple[object, float]] = {}
        self._beaten = clock()

    def latest(self) -> dict[str, int]:
        """Return part -> number of its latest claim.

        Raises:
            FileNotFoundError: The folder was removed, since all work is done.
        """
        found: dict[str, int] = {}
        for name in self._folder.names():
            part, _, number = name.partition(".")
            found[part] = max(int(number), found.get(part, 0))
        return found

    def try_take(self, part: str, latest: int | None) -> bool:
        """Claim a part, and return whether that succeeded.

        Args:
            part: Name of the part, without dots.
            latest: Number of its latest claim, as `latest` returned it; None if it has none.

        Raises:
            FileNotFoundError: As in `latest`.
            WriteError: The folder cannot be written.
        """
        if latest is not None and not self._has_ended(part, latest):
            return False
        name = f"{part}.{0 if latest is None else latest + 1}"
        said = {"claim": uuid4().hex, **this_process("a part of shared work"), "beats": 0}
        if not self._folder.create(name, json.dumps(said).encode()):
            return False
        self._held[part] = name, said
        return True

    def release(self, part: str) -> None:
        """End the claim of this process on a part, if it has one."""
        held = self._held.pop(part, None)
        if held is None:
            return
        with suppress(UnreachableError, OSError):  # the claim ends with its process
            self._folder.remove(held[0])

    def beat(self) -> None:
        """Renew the claims of this process, if that is due."""
        now = self._clock()
        if now - self._beaten >= BEAT_SECONDS:
            self._beaten = now
            for name, said in self._held.values():
                said["beats"] += 1
                self._folder.renew(name, json.dumps(said).encode())

    def _has_ended(self, part: str, number: int) -> bool:
        if part in self._held:
            return False
        name = f"{part}.{number}"
        try:
            life, said = self._folder.life_of(name)
        except OSError:  # it was released just now
            return False
        limit = self._silent_seconds if said else min(EMPTY_SECONDS, self._silent_seconds)
        with suppress(ValueError):  # it is being written
            holder = json.loads(said)
            if isinstance(holder, dict) and has_ended(holder):
                return True
        now = self._clock()
        before, since = self._seen.setdefault(name, (life, now))
        if before != life:
            self._seen[name] = (life, now)
            return False
        return now - since > limit
