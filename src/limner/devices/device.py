"""Which device a name means on this machine."""

import torch

from limner.core.errors import ConfigError


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of a name, once something has been put on it.

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


def pick_device(device: str = "auto") -> torch.device:
    """Return the torch device that ``auto`` means here, or the one asked for."""
    if device != "auto":
        return torch.device(device)
    # Asked in two steps, since PyTorch 2.6 names an accelerator that it was built for and that is not there.
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return torch.device("cpu") if found is None else found
