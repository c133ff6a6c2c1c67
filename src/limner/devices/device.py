"""Where a model runs, in which number format and layout, and how running out of memory is recognised."""

import sys

import torch

from limner.devices.machine import examine

SIGNS = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory")
"""What allocators write when they are out of memory: CUDA, XPU and MPS; the CPU's on Windows and Linux."""


def choose_precision(device: torch.device, trained: str) -> str:
    """Return the precision a model was trained and validated in, or ``float32`` where that would be slow.

    Args:
        device: Where the model will run.
        trained: The precision of its plan.
    """
    machine = examine(str(device))
    fast = {"bfloat16": machine.fast_bfloat16, "float16": machine.fast_float16}
    return trained if fast.get(trained, False) else "float32"


def choose_memory_format(
    device: torch.device, *, spatial_dims: int, training: bool = False
) -> torch.memory_format:
    """Return how a network's tensors are best laid out in memory.

    Channels last, which tensor cores and CPUs convolve faster. Only the gradients of weights are up to five
    times slower so on CPUs without AVX-512 (oneDNN 3.11), and with them whole training steps: 1.7 times for a
    U-Net.

    Args:
        device: Where the network will run.
        spatial_dims: 2 or 3.
        training: Gradients will be needed.
    """
    if training and device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX2":
        return torch.contiguous_format
    return torch.channels_last if spatial_dims == 2 else torch.channels_last_3d


def prefers_winograd(device: torch.device) -> bool:
    """Say whether convolutions train faster by `limner.layers.winograd`: measured on CPUs with AVX2."""
    return device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX2"


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an exception means that memory ran out; of the processor's, PyTorch has no class."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in SIGNS)


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
