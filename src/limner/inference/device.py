"""Where a model runs, and in which number format."""

from contextlib import AbstractContextManager, nullcontext

import torch

from limner.core.errors import ConfigError

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of a name; ``auto`` is the accelerator where there is one, else the processor.

    Args:
        name: ``auto``, or a name that PyTorch knows, such as ``cpu``, ``cuda``, ``cuda:1``, ``mps``, ``xpu``.

    Raises:
        ConfigError: PyTorch does not know the name, or this machine has no such device.
    """
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return accelerator or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"The device {name!r} cannot be used here: {reason}\n"
            "`limner doctor` lists the devices of this machine; `--device auto` picks one."
        ) from None
    return device


def choose_precision(device: torch.device) -> str:
    """Return ``bfloat16`` where the device computes it natively, and so faster, else ``float32``."""
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return "bfloat16" if native else "float32"
    if device.type == "cpu":
        return "bfloat16" if _processor_has_bfloat16() else "float32"
    return "bfloat16" if device.type == "xpu" else "float32"


def precision_context(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return the context in which a network computes in `precision`; its weights stay float32."""
    if precision not in PRECISIONS:
        raise ConfigError(f"There is no precision {precision!r}. Known: {', '.join(PRECISIONS)}.")
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=PRECISIONS[precision])


def _processor_has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 in hardware (AMX); without it bfloat16 is slower."""
    probe = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(probe and probe())
