"""What the machine offers a run: memory, cores, the accelerator, and the number formats it is fast in.

Everything is asked of the operating system or of PyTorch's device-independent `torch.accelerator`, so
that an accelerator nobody thought of here (XPU, NPU, MLU, ...) is described all the same.
"""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import torch

CGROUP_FILES = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
"""Where a container says its memory limit and its use: cgroup version 2, then version 1."""

UNKNOWN_MEMORY = 4 * 2**30
"""Bytes assumed where the system does not say: what nearly every machine has."""


@dataclass(frozen=True)
class Memory:
    """Bytes of one memory, in all and still free."""

    total: int
    available: int


@dataclass(frozen=True)
class Machine:
    """What one device offers a run.

    Attributes:
        device: As `torch.device` takes it: ``cpu``, ``cuda``, ``mps``, ``xpu``, ...
        name: What its maker calls it.
        memory: Of the accelerator, or of the host where the device is the CPU.
        num_cores: CPU cores that this process may use.
        fast_bfloat16: True where bfloat16 arithmetic is built into the device and so pays.
        fast_float16: The same for float16.
    """

    device: str
    name: str
    memory: Memory
    num_cores: int
    fast_bfloat16: bool
    fast_float16: bool = False

    @property
    def is_cpu(self) -> bool:
        """True where no accelerator is used."""
        return self.device == "cpu"


def examine(device: str = "auto") -> Machine:
    """Describe the machine as seen from one device.

    Args:
        device: ``auto`` for the accelerator, where there is one, else the CPU; or a torch device.
    """
    chosen = pick_device(device)
    if chosen.type == "cpu":
        return Machine("cpu", cpu_name(), host_memory(), num_cores(), cpu_has_bfloat16())
    bfloat16, float16 = _accelerator_formats(chosen)
    return Machine(
        chosen.type, accelerator_name(chosen), accelerator_memory(chosen), num_cores(), bfloat16, float16
    )


def pick_device(device: str = "auto") -> torch.device:
    """Return the torch device that ``auto`` means here, or the one asked for."""
    if device != "auto":
        return torch.device(device)
    found = torch.accelerator.current_accelerator(check_available=True)
    return torch.device("cpu") if found is None else found


def host_memory() -> Memory:
    """Return the memory that this process may use: the machine's, or its container's where that is less."""
    total, available = _system_memory()
    for limit_file, usage_file in CGROUP_FILES:
        limit, usage = _read_number(limit_file), _read_number(usage_file)
        if limit is not None and 0 < limit < total:
            return Memory(limit, min(available, max(limit - (usage or 0), 0)))
    return Memory(total, available)


def num_cores() -> int:
    """Return the number of CPU cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_name() -> str:
    """Return the processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def cpu_has_bfloat16() -> bool:
    """Tell whether the CPU multiplies bfloat16 itself; without, it is emulated and slower than float32."""
    questions = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, question, bool)()) for question in questions)


def accelerator_name(device: torch.device) -> str:
    """Return the maker's name of an accelerator, or its type in capitals where it has none."""
    module = getattr(torch, device.type, None)
    ask = getattr(module, "get_device_name", None)
    return str(ask(device)) if ask else device.type.upper()


def accelerator_memory(device: torch.device) -> Memory:
    """Return an accelerator's memory; of one that shares the host's (MPS), what the driver allows."""
    if device.type == "mps":
        allowed = int(torch.mps.recommended_max_memory())
        return Memory(allowed, allowed)
    ask = getattr(getattr(torch, device.type, None), "mem_get_info", None)
    if ask is None:
        return Memory(UNKNOWN_MEMORY, UNKNOWN_MEMORY)
    free, total = ask(device)
    return Memory(int(total), int(free))


def _accelerator_formats(device: torch.device) -> tuple[bool, bool]:
    """Return whether (bfloat16, float16) arithmetic is built into an accelerator."""
    if device.type == "cuda":
        if torch.version.hip:
            return True, True
        major, _ = torch.cuda.get_device_capability(device)
        return major >= 8, major >= 7  # tensor cores: float16 since Volta (7.0), bfloat16 since Ampere (8.0)
    return device.type in ("xpu", "npu", "hpu", "mlu"), False


def _system_memory() -> tuple[int, int]:
    """Return the machine's (total, available) bytes."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        fields: Mapping[str, int] = {
            name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)
        }
        return fields["MemTotal"], fields["MemAvailable"]
    except (OSError, KeyError, ValueError, IndexError):
        return _system_memory_elsewhere()


def _system_memory_elsewhere() -> tuple[int, int]:
    """Return (total, available) bytes on macOS, BSD and Windows; half counts as free where nobody says."""
    try:
        # accelerate brings psutil, so it is there in every complete installation
        found = import_module("psutil").virtual_memory()
        return int(found.total), int(found.available)
    except ImportError:
        pass
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        total = UNKNOWN_MEMORY
    return total, total // 2


def _read_number(path: str) -> int | None:
    try:
        return int(Path(path).read_text(encoding="ascii").strip())
    except (OSError, ValueError):  # no such file, or the word "max"
        return None
