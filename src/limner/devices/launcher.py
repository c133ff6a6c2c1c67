"""Starts processes that train together on this machine, and ends all of them when one dies."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from limner.devices.host import cores_of_each
from limner.devices.processes import LAUNCHED, RESTARTS

POLL_SECONDS = 0.1
"""Pause between two looks at the processes."""

PATIENCE_SECONDS = 20.0
"""How long the other processes may take to end after one of them has died, before they are killed."""

NUM_LINES = 40
"""Number of last lines that are kept of what a process prints whose output is not shown."""

FORWARDED = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that are passed on to the processes, which then save and stop."""


@dataclass(frozen=True)
class Death:
    """How the first process that failed ended.

    Attributes:
        rank: Its rank.
        count: Number of processes that trained together.
        code: Its exit code, or minus the number of the signal that killed it.
        lines: The last lines that it printed; none for rank 0, whose output is shown.
        is_wanted: Whether the processes were stopped by a signal to this one.
    """

    rank: int
    count: int
    code: int
    lines: tuple[str, ...]
    is_wanted: bool

    @property
    def how(self) -> str:
        """How it ended, in a few words."""
        if self.code >= 0:
            return f"ended with exit code {self.code}"
        name = signal.Signals(-self.code).name
        memory = ", as the system does when memory runs out" if name == "SIGKILL" else ""
        return f"was killed by {name}{memory}"

    @property
    def exit_code(self) -> int:
        """The exit code as of a shell: 128 plus the number of a signal."""
        return self.code if self.code >= 0 else 128 - self.code


def run_together(
    command: Sequence[str], count: int, *, attempt: int = 0, patience: float = PATIENCE_SECONDS
) -> Death | None:
    """Run a command in several processes that find each other through the environment that PyTorch reads.

    Standard output and error of rank 0 are shown; those of the others are kept for the case that they fail.
    Signals are passed on. When a process fails, the others are asked to end, and killed after a while.

    Args:
        command: Program and arguments.
        count: Number of processes; a single one is not told of others.
        attempt: Number of earlier attempts, for the processes.
        patience: How long the others may take to end after a failure, in seconds.

    Returns:
        The first failure, or None if all processes succeeded.
    """
    port = _free_port()
    environments = [environment_of(rank, count, port, attempt) for rank in range(count)]
    with _Processes(command, environments) as running:
        with _forwarded_signals(running):
            death = running.wait()
        if death is not None:
            running.end(patience)
    return death


def environment_of(rank: int, count: int, port: int, attempt: int) -> dict[str, str]:
    """Return the environment variables of a process beside those of this one."""
    own = {LAUNCHED: "1", RESTARTS[0]: str(attempt)}
    if count == 1:
        return own
    threads = os.environ.get("OMP_NUM_THREADS", str(cores_of_each(count)))
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    rendezvous = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": threads}
    return own | {name: str(value) for name, value in place.items()} | rendezvous


def _free_port() -> int:
    """Return a port of this machine that is free now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class _Processes:
    """The running processes; on exit none is left.

    Args:
        command: Program and arguments of each.
        environments: Additional environment variables of each.
    """

    def __init__(self, command: Sequence[str], environments: Sequence[Mapping[str, str]]) -> None:
        self._command, self._environments = command, environments
        self._running: list[subprocess.Popen[str]] = []
        self._lines: list[deque[str]] = [deque(maxlen=NUM_LINES) for _ in environments]
        self._readers: list[threading.Thread] = []
        self._wanted = 0

    def __enter__(self) -> "_Processes":
        try:
            for rank, own in enumerate(self._environments):
                self._start(rank, {**os.environ, **own})
        except BaseException:
            self.end(0.0)
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.end(0.0)

    def _start(self, rank: int, environment: Mapping[str, str]) -> None:
        hidden = None if rank == 0 else subprocess.PIPE
        process = subprocess.Popen(
            self._command,
            env=environment,
            stdin=None if rank == 0 else subprocess.DEVNULL,
            stdout=hidden,
            stderr=None if rank == 0 else subprocess.STDOUT,
            text=True,
            errors="replace",
            # Ctrl-C in a terminal then reaches this process alone, which passes it on once.
            start_new_session=sys.platform != "win32",
        )
        self._running.append(process)
        if process.stdout is not None:
            reader = threading.Thread(target=self._lines[rank].extend, args=(process.stdout,), daemon=True)
            reader.start()
            self._readers.append(reader)

    def pass_on(self, number: int) -> None:
        """Pass on a signal that this process has received."""
        self._wanted = number
        self._send(number)

    def _send(self, number: int) -> None:
        for process in self._running:
            if process.poll() is None:
                process.send_signal(number)

    def wait(self) -> Death | None:
        """Wait until all have ended well, or the first one has not."""
        while True:
            codes = [process.poll() for process in self._running]
            failed = next((rank for rank, code in enumerate(codes) if code), None)
            if failed is not None:
                return self._death(failed)
            if None not in codes:
                return None
            time.sleep(POLL_SECONDS)

    def end(self, patience: float) -> None:
        """End the processes that still run: ask, wait, then kill."""
        end = time.monotonic() + patience
        if patience and not self._wanted:  # a second signal would stop a process that is saving
            self._send(signal.SIGTERM)
        while time.monotonic() < end and any(process.poll() is None for process in self._running):
            time.sleep(POLL_SECONDS)
        for process in self._running:
            if process.poll() is None:
                process.kill()
            process.wait()
        for reader in self._readers:
            reader.join(1.0)

    def _death(self, rank: int) -> Death:
        code = self._running[rank].wait()
        if rank:
            self._readers[rank - 1].join(1.0)
        lines = tuple(line.rstrip("\n") for line in self._lines[rank])
        return Death(rank, len(self._running), code, lines, is_wanted=bool(self._wanted))


@contextmanager
def _forwarded_signals(running: _Processes) -> Iterator[None]:
    """Pass signals on inside the block; an ignored signal stays ignored, such as SIGHUP under ``nohup``."""

    def forward(number: int, frame: FrameType | None) -> None:
        running.pass_on(number)

    heeded = [kind for kind in FORWARDED if signal.getsignal(kind) is not signal.SIG_IGN]
    previous = {kind: signal.signal(kind, forward) for kind in heeded}
    try:
        yield
    finally:
        for kind, handler in previous.items():
            signal.signal(kind, handler)
