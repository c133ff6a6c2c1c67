"""Number formats of a network's arithmetic; its weights stay float32."""

from contextlib import AbstractContextManager, nullcontext

import torch

from limner.core.errors import UnknownNameError
from limner.devices.machine import examine

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""The names of `TrainPlan.precision`."""


def precision_context(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return the context in which a network computes in `precision`.

    Raises:
        UnknownNameError: There is no such precision.
    """
    if precision not in PRECISIONS:
        raise UnknownNameError("precision", precision, PRECISIONS)
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=PRECISIONS[precision])


def fast_precision(device: torch.device, trained: str) -> str:
    """Return the precision a model was trained and validated in, or ``float32`` where that would be slow.

    Args:
        device: Where the model will run.
        trained: The precision of its plan.
    """
    machine = examine(str(device))
    fast = {"bfloat16": machine.fast_bfloat16, "float16": machine.fast_float16}
    return trained if fast.get(trained, False) else "float32"


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Let a calculation keep the types it is written in, also under mixed precision.

    The meta device knows no autocast, and shapes need no precision.
    """
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)
