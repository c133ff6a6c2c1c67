"""How much memory this process may still take."""

import os
from pathlib import Path

FALLBACK_BYTES = 2 << 30
"""Assumed where the system does not say: enough for small sets, harmless on any machine."""

MEMINFO = Path("/proc/meminfo")

CGROUP_FILES = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)
"""Limit and use of a container, as control groups version 2 and 1 say them."""


def available_bytes() -> int:
    """Return the bytes that can be taken without swapping: of the machine, or of the container if less."""
    candidates = [b for b in (_machine_bytes(), *(_container_bytes(*pair) for pair in CGROUP_FILES)) if b]
    return max(0, min(candidates, default=FALLBACK_BYTES))


def _machine_bytes() -> int | None:
    try:
        lines = MEMINFO.read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        pass
    try:
        # macOS says the whole only; half of it is commonly free.
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, ValueError, OSError):
        return None


def _container_bytes(limit: Path, used: Path) -> int | None:
    try:
        return max(1, int(limit.read_text()) - int(used.read_text()))
    except (OSError, ValueError):  # no such control group, or "max": no limit
        return None
