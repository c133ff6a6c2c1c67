"""What the machine offers a run: memory, cores, the accelerator, and the number formats it is fast in.

Everything is asked of the operating system or of PyTorch's device-independent `torch.accelerator`, so
that an accelerator nobody thought of here (XPU, NPU, MLU, ...) is described all the same.
"""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import torch

from limner.devices.device import choose_device
from limner.devices.host import available_bytes, num_cores

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

    Raises:
        ConfigError: This machine has no such device.
    """
    chosen = choose_device(device)
    if chosen.type == "cpu":
        return Machine("cpu", cpu_name(), host_memory(), num_cores(), cpu_has_bfloat16())
    bfloat16, float16 = _accelerator_formats(chosen)
    return Machine(
        chosen.type, accelerator_name(chosen), accelerator_memory(chosen), num_cores(), bfloat16, float16
    )


def host_memory() -> Memory:
    """Return the host's memory; what is available is that of the container where it has less."""
    available = available_bytes()
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        total = available
    return Memory(max(total, available), available)


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


def runs_on(capability: tuple[int, int], archs: list[str]) -> bool:
    """Tell whether code built for `archs` runs on a GPU.

    Compiled code (``sm_86``) runs on the same major capability with an equal or higher minor one;
    intermediate code (``compute_90``) is translated for any capability that is equal or higher.

    Args:
        capability: (major, minor) of the GPU.
        archs: As `torch.cuda.get_arch_list` gives them.
    """
    for arch in archs:
        kind, _, digits = arch.rstrip("af").partition("_")
        if not digits.isdigit():
            continue
        major, minor = divmod(int(digits), 10)
        if kind == "sm" and major == capability[0] and minor <= capability[1]:
            return True
        if kind == "compute" and (major, minor) <= capability:
            return True
    return False


def _accelerator_formats(device: torch.device) -> tuple[bool, bool]:
    """Return whether (bfloat16, float16) arithmetic is built into an accelerator."""
    if device.type == "cuda":
        if torch.version.hip:
            return True, True
        major, _ = torch.cuda.get_device_capability(device)
        return major >= 8, major >= 7  # tensor cores: float16 since Volta (7.0), bfloat16 since Ampere (8.0)
    return device.type in ("xpu", "npu", "hpu", "mlu"), False
