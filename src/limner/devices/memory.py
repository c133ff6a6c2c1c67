"""Device memory of a run: its peak, and handling of out-of-memory errors."""

import gc
import sys
from contextlib import suppress
from pathlib import Path

import torch

from limner.devices.backends import module_of

SIGNS = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory")
"""Out-of-memory messages of allocators: CUDA, XPU and MPS; the CPU's on Windows and Linux."""


def peak_bytes(device: torch.device) -> int | None:
    """Return the peak memory so far: of tensors on an accelerator, or of the process on a CPU.

    None if the system does not report it.
    """
    if device.type != "cpu":
        ask = getattr(module_of(device), "max_memory_allocated", None)
        return None if ask is None else int(ask(device))
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def reset_peak(device: torch.device) -> None:
    """Reset `peak_bytes` to the memory that is in use; on CPUs, only on Linux."""
    if device.type == "cpu":
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        return
    reset = getattr(module_of(device), "reset_peak_memory_stats", None)
    if reset is not None:
        reset(device)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception is an out-of-memory error; PyTorch has no class for those of the CPU."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in SIGNS)


def more_parts(accumulate: int, batch_size: int) -> int | None:
    """Return the next number of parts to split a batch into: at least twice as many, a divisor of its size.

    Returns:
        None if a part is already a single sample.
    """
    if accumulate >= batch_size:
        return None
    wanted = min(2 * accumulate, batch_size)
    return next(parts for parts in range(wanted, batch_size + 1) if batch_size % parts == 0)


def release_memory(device: torch.device) -> None:
    """Release unused memory held by Python and the device's allocator."""
    gc.collect()
    if device.type != "cpu":
        empty_cache = getattr(module_of(device), "empty_cache", None)
        if empty_cache is not None:
            empty_cache()
