"""Claims of processes on parts of shared work: files in a folder on a disk that all of them see.

Claiming a part creates ``PART.0``, which succeeds for one process only. The file names the process, which
renews its date while it works. A claim has ended if its process has, or, where that cannot be seen from here,
if its date did not change for `SILENT_SECONDS`. Another process then creates ``PART.1``, and so on: files of
others are never moved or removed, so two processes cannot take over the same claim.
"""

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from limner.core.errors import WriteError
from limner.storage.disk_problems import disk_problem, write_errors_for
from limner.storage.folder_lock import has_ended, this_process

BEAT_SECONDS = 10.0
"""Time after which a process renews the date of its claims."""

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
        folder: Path,
        *,
        silent_seconds: float = SILENT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._silent_seconds, self._clock = silent_seconds, clock
        self._held: dict[str, Path] = {}
        # Name of a claim -> its date, and when it was first seen.
        self._seen: dict[str, tuple[int, float]] = {}
        self._beaten = clock()

    def latest(self) -> dict[str, int]:
        """Return part -> number of its latest claim.

        Raises:
            FileNotFoundError: The folder was removed, since all work is done.
        """
        found: dict[str, int] = {}
        for name in os.listdir(self._folder):  # noqa: PTH208 - much faster than paths
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
        path = self._folder / f"{part}.{0 if latest is None else latest + 1}"
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            return False
        except FileNotFoundError:
            raise
        except OSError as error:
            raise WriteError(path, disk_problem(error) or str(error)) from error
        try:
            with write_errors_for(path), os.fdopen(descriptor, "wb") as file:
                file.write(json.dumps(this_process("a part of shared work")).encode())
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        self._held[part] = path
        return True

    def release(self, part: str) -> None:
        """End the claim of this process on a part."""
        with suppress(OSError):  # the folder may be gone
            self._held.pop(part).unlink()

    def beat(self) -> None:
        """Renew the claims of this process, if that is due."""
        now = self._clock()
        if now - self._beaten >= BEAT_SECONDS:
            self._beaten = now
            for path in self._held.values():
                with suppress(OSError):
                    os.utime(path)

    def _has_ended(self, part: str, number: int) -> bool:
        if part in self._held:
            return False
        name = f"{part}.{number}"
        path = self._folder / name
        try:
            changed, said = path.stat().st_mtime_ns, path.read_bytes()
        except OSError:  # it was released just now
            return False
        limit = self._silent_seconds if said else min(EMPTY_SECONDS, self._silent_seconds)
        with suppress(ValueError):  # it is being written
            holder = json.loads(said)
            if isinstance(holder, dict) and has_ended(holder):
                return True
        now = self._clock()
        before, since = self._seen.setdefault(name, (changed, now))
        if before != changed:
            self._seen[name] = (changed, now)
            return False
        return now - since > limit
