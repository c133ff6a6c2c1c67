"""Where a model runs, and in which number format."""

from contextlib import AbstractContextManager, nullcontext

import torch

from limner.core.errors import ConfigError
from limner.planning.machine import examine

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_precision(device: torch.device, trained: str) -> str:
    """Return the precision a model was trained and validated in, or ``float32`` where that would be slow.

    Args:
        device: Where the model will run.
        trained: The precision of its plan.
    """
    machine = examine(str(device))
    fast = {"bfloat16": machine.fast_bfloat16, "float16": machine.fast_float16}
    return trained if fast.get(trained, False) else "float32"


def precision_context(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return the context in which a network computes in `precision`; its weights stay float32."""
    if precision not in PRECISIONS:
        raise ConfigError(f"There is no precision {precision!r}. Known: {', '.join(PRECISIONS)}.")
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=PRECISIONS[precision])
