"""Precision of a network's arithmetic; its weights stay float32."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from limner.core.errors import UnknownNameError
from limner.devices.machine import examine

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""The names of `TrainPlan.precision`."""


def precision_context(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return the context in which a network computes in `precision`.

    Raises:
        UnknownNameError: The precision does not exist.
    """
    if precision not in PRECISIONS:
        raise UnknownNameError("precision", precision, PRECISIONS)
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=PRECISIONS[precision])


@contextmanager
def fast_float32(device: torch.device) -> Iterator[None]:
    """Within the block, let an accelerator multiply float32 matrices in TensorFloat32 or the like.

    It rounds the factors to the 10 bits of float16's mantissa, as PyTorch lets convolutions do anyway. A
    precision that the caller chose stays.
    """
    before = torch.get_float32_matmul_precision()
    if device.type == "cpu" or before != "highest":
        yield
        return
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def fast_precision(device: torch.device, trained: str) -> str:
    """Return the precision that a model was trained in, or ``float32`` if the device is slow in it.

    Args:
        device: Where the model will run.
        trained: The precision of its plan.
    """
    machine = examine(str(device))
    fast = {"bfloat16": machine.fast_bfloat16, "float16": machine.fast_float16}
    return trained if fast.get(trained, False) else "float32"


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Return a context that disables mixed precision.

    The meta device does not support autocast, and shapes do not depend on precision.
    """
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)
