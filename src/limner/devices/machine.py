"""Capabilities of the machine: memory, cores, the accelerator, and the number formats it is fast in.

Only the operating system, PyTorch's device-independent `torch.accelerator` and the device's own module are
queried, so that any accelerator is supported; what depends on its type is in `backends`.
"""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import torch

from limner.devices.backends import memory_limit, module_of, native_formats
from limner.devices.device import choose_device
from limner.devices.host import available_bytes, cores_of_each
from limner.devices.processes import num_local_processes, num_processes

UNKNOWN_MEMORY = 4 * 2**30
"""Assumed memory in bytes if the system does not report it; nearly every machine has it."""


@dataclass(frozen=True)
class Memory:
    """Total and free memory in bytes."""

    total: int
    available: int


@dataclass(frozen=True)
class Machine:
    """Capabilities of one device.

    Attributes:
        device: Type as for `torch.device`, such as ``cpu`` or ``cuda``.
        name: Product name.
        memory: Memory of the accelerator, or of the host if the device is the CPU: its part for each of the
            processes that train together here.
        num_cores: Number of CPU cores available to each of these processes.
        fast_bfloat16: Whether the device supports bfloat16 natively, so that it is faster than float32.
        fast_float16: The same for float16.
        num_processes: Number of processes that train together, on all machines, each on a device like this.
    """

    device: str
    name: str
    memory: Memory
    num_cores: int
    fast_bfloat16: bool
    fast_float16: bool = False
    num_processes: int = 1

    @property
    def is_cpu(self) -> bool:
        """Whether no accelerator is used."""
        return self.device == "cpu"


def examine(device: str = "auto") -> Machine:
    """Return the capabilities of a device.

    Args:
        device: A torch device, or ``auto`` for the accelerator if available, else the CPU.

    Raises:
        ConfigError: This machine has no such device.
    """
    chosen = choose_device(device)
    cores, processes = cores_of_each(num_local_processes()), num_processes()
    if chosen.type == "cpu":
        bfloat16 = cpu_has_bfloat16()
        return Machine("cpu", cpu_name(), host_memory(), cores, bfloat16, num_processes=processes)
    name, memory = accelerator_name(chosen), accelerator_memory(chosen)
    return Machine(chosen.type, name, memory, cores, *native_formats(chosen), num_processes=processes)


def host_memory() -> Memory:
    """Return the host's memory; the available part is limited to that of the container and the process."""
    available = available_bytes() // num_local_processes()
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        total = available
    return Memory(max(total, available), available)


def cpu_name() -> str:
    """Return the processor's name as reported by the system."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def cpu_has_bfloat16() -> bool:
    """Return whether the CPU supports bfloat16 natively; if emulated, it is slower than float32."""
    questions = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, question, bool)()) for question in questions)


def accelerator_name(device: torch.device) -> str:
    """Return the product name of an accelerator, or its type in capitals if unknown."""
    ask = getattr(module_of(device), "get_device_name", None)
    return str(ask(device)) if ask else device.type.upper()


def accelerator_memory(device: torch.device) -> Memory:
    """Return an accelerator's memory; of one that shares the host's, the driver's limit."""
    allowed = memory_limit(device)
    if allowed is not None:
        return Memory(allowed, allowed)
    ask = getattr(module_of(device), "mem_get_info", None)
    if ask is None:
        return Memory(UNKNOWN_MEMORY, UNKNOWN_MEMORY)
    free, total = ask(device)
    return Memory(int(total), int(free))
