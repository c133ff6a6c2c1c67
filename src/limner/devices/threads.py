"""Number of threads that PyTorch computes with on a CPU: fewer while other programs use the cores.

Threads wait for each other at the end of every parallel part of an operation, so all are as slow as the one
that shares its core. A training step of a small U-Net on two cores beside one busy program took 1.29 s with
two threads and 0.84 s with one; alone 0.44 s and 0.60 s.
"""

import os
import time
from collections.abc import Callable
from math import ceil

import psutil
import torch

from limner.devices.host import num_cores

WINDOW_SECONDS = 3.0
"""Seconds over which the use of the cores is averaged."""

WINDOWS_THAT_AGREE = 2
"""Number of windows in a row that must ask for a change: what takes a moment is not worth one."""

SHARED_CORE = 0.5
"""Part of a core that others must use before it counts as theirs."""

CpuSeconds = tuple[float, float]
"""Seconds that all cores were busy since the machine's start, and those of this process."""


def cpu_seconds() -> CpuSeconds:
    """Return the busy seconds of all programs, and those of this one."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # also part of user and nice
    return sum(times) - guests - idle, time.process_time()


class CoreUse:
    """The use of the cores since this object was made or last asked.

    Args:
        cpu: Returns the busy seconds; replaced in tests.
        clock: Returns seconds; replaced in tests.
    """

    def __init__(
        self,
        *,
        cpu: Callable[[], CpuSeconds] = cpu_seconds,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cpu, self._clock = cpu, clock
        self._begin()

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._began

    def by_others(self) -> float:
        """Return the number of cores that other programs used, and begin again."""
        passed, busy, own = max(self.seconds, 1e-3), self._busy, self._own
        self._begin()
        return max((self._busy - busy) - (self._own - own), 0.0) / passed

    def _begin(self) -> None:
        self._began = self._clock()
        self._busy, self._own = self._cpu()


class ThreadCount:
    """Follows the cores that others leave free, at most PyTorch's own number of threads.

    It stays fixed where ``OMP_NUM_THREADS`` is set, since the user chose it.

    Args:
        use: The use of the cores; replaced in tests.
        processes: Number of processes that compute at the same time, among which the cores are divided.

    Attributes:
        most: Number of threads on a quiet machine.
        count: Number of threads now.
        others: Cores that other programs used in the last window.
    """

    def __init__(self, use: CoreUse | None = None, *, processes: int = 1) -> None:
        self._core_use = use or CoreUse()
        is_chosen = "OMP_NUM_THREADS" in os.environ
        most = torch.get_num_threads()
        self.most = most if is_chosen else max(1, min(most, num_cores()) // processes)
        self.others = 0.0
        self._is_fixed = is_chosen or self.most == 1
        self._asked: list[int] = []
        self.use(self.most)

    def use(self, count: int) -> None:
        """Compute with this number of threads from now on."""
        self.count = count
        if torch.get_num_threads() != count:
            torch.set_num_threads(count)

    def follow(self) -> bool:
        """Return whether the number changed; call it between two steps."""
        if self._is_fixed or self._core_use.seconds < WINDOW_SECONDS:
            return False
        self.others = self._core_use.by_others()
        free = psutil.cpu_count() - self.others
        wanted = min(max(ceil(free - SHARED_CORE), 1), self.most)
        self._asked = [*self._asked, wanted][-WINDOWS_THAT_AGREE:]
        if self._asked != [wanted] * WINDOWS_THAT_AGREE or wanted == self.count:
            return False
        self.use(wanted)
        return True

    def said(self) -> str:
        """Return the number of threads, and why, as a sentence."""
        threads = "1 thread" if self.count == 1 else f"{self.count} threads"
        if self.count == self.most:
            return f"The cores are free again: computing with {threads}."
        return (
            f"Other programs use about {self.others:.1f} of {psutil.cpu_count()} cores: "
            f"computing with {threads} instead of {self.most} as long as they do."
        )
