"""Resources of the host available to this process: CPU cores, free memory, a screen."""

import os
import sys
from math import ceil
from pathlib import Path

FALLBACK_BYTES = 2 << 30
"""Assumed free memory if the system does not report it: enough for small datasets, safe on any machine."""

MEMINFO = Path("/proc/meminfo")

CGROUP = Path("/sys/fs/cgroup")

CGROUP_QUOTA = ("cpu.max", "cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")
"""Files of control groups with a container's CPU time in each period: of version 2, and of version 1."""

CGROUP_FILES = (
    ("memory.max", "memory.current", "memory.stat"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
)
"""Files of control groups (version 2, then 1) with a container's memory limit, usage and statistics."""


def has_screen() -> bool:
    """Return whether windows can be shown: there is a display, and this is not a remote session."""
    if sys.platform in ("win32", "darwin"):
        return "SSH_CONNECTION" not in os.environ
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def num_cores() -> int:
    """Return the number of CPU cores available to this process; parts of a container's core count as one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = core_quota()
    return cores if quota is None else min(cores, max(ceil(quota), 1))


def cores_of_each(processes: int) -> int:
    """Return the number of cores of each of several processes on this machine, at least one."""
    return max(num_cores() // processes, 1)


def core_quota() -> float | None:
    """Return the cores' worth of time that a container may use, or None without a limit."""
    both, quota, period = (CGROUP / name for name in CGROUP_QUOTA)
    try:
        texts = both.read_text().split() if both.exists() else [quota.read_text(), period.read_text()]
        cores = int(texts[0]) / int(texts[1])
    except (OSError, ValueError, ZeroDivisionError):  # no such control group, or "max": no limit
        return None
    return cores if cores > 0 else None


def available_bytes() -> int:
    """Return the memory available without swapping, in bytes: of the machine, or of the container if less."""
    candidates = (_machine_bytes(), *(_container_bytes(*names) for names in CGROUP_FILES))
    return min((b for b in candidates if b is not None), default=FALLBACK_BYTES)


def _machine_bytes() -> int | None:
    try:
        lines = MEMINFO.read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        pass
    try:
        # macOS reports only the total; half of it is usually free.
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, ValueError, OSError):
        return None


def _container_bytes(limit: str, used: str, parts: str) -> int | None:
    try:
        free = int((CGROUP / limit).read_text()) - int((CGROUP / used).read_text())
        rows = dict(line.split() for line in (CGROUP / parts).read_text().splitlines())
    except (OSError, ValueError):  # no such control group, or "max": no limit
        return None
    # The file cache counts as used, but is freed when memory is needed.
    return max(0, free + int(rows.get("inactive_file", 0)))
