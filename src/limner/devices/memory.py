"""The memory that a run takes from its device: its peak, and what to do when it runs out."""

import gc
import sys

import torch

SIGNS = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory")
"""What allocators write when they are out of memory: CUDA, XPU and MPS; the CPU's on Windows and Linux."""


def peak_bytes(device: torch.device) -> int | None:
    """Return the most memory held so far: of the accelerator by tensors, on a processor by the process.

    None where the system does not say.
    """
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if device.type != "cpu" or sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an exception means that memory ran out; of the processor's, PyTorch has no class."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in SIGNS)


def more_parts(accumulate: int, batch_size: int) -> int | None:
    """Return into how many parts to cut a batch next: at least twice as many, dividing it evenly.

    Returns:
        None where a part is already a single sample.
    """
    if accumulate >= batch_size:
        return None
    wanted = min(2 * accumulate, batch_size)
    return next(parts for parts in range(wanted, batch_size + 1) if batch_size % parts == 0)


def release_memory(device: torch.device) -> None:
    """Give back what Python and the device's allocator hold without using it."""
    gc.collect()
    if device.type != "cpu":
        backend = getattr(torch, device.type, None)
        empty_cache = getattr(backend, "empty_cache", None)
        if empty_cache is not None:
            empty_cache()
