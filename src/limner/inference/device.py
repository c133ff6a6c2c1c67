"""Where a model runs, in which number format, and how running out of memory there is recognised."""

import torch

from limner.core.errors import ConfigError
from limner.planning.machine import examine, pick_device

SIGNS = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory")
"""What allocators write when they are out of memory: CUDA, XPU and MPS; the CPU's on Windows and Linux."""


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of a name; ``auto`` is the accelerator where there is one, else the processor.

    Args:
        name: ``auto``, or a name that PyTorch knows, such as ``cpu``, ``cuda``, ``cuda:1``, ``mps``, ``xpu``.

    Raises:
        ConfigError: PyTorch does not know the name, or this machine has no such device.
    """
    try:
        device = pick_device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"The device {name!r} cannot be used here: {reason}\n"
            "`limner doctor` lists the devices of this machine; `--device auto` picks one."
        ) from None
    return device


def choose_precision(device: torch.device, trained: str) -> str:
    """Return the precision a model was trained and validated in, or ``float32`` where that would be slow.

    Args:
        device: Where the model will run.
        trained: The precision of its plan.
    """
    machine = examine(str(device))
    fast = {"bfloat16": machine.fast_bfloat16, "float16": machine.fast_float16}
    return trained if fast.get(trained, False) else "float32"


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an exception means that memory ran out; of the processor's, PyTorch has no class."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in SIGNS)
