"""Choosing a device by name."""

import torch

from limner.core.errors import ConfigError


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of a name, after allocating a tensor on it as a test.

    Args:
        name: ``auto``, or a PyTorch device such as ``cpu``, ``cuda``, ``cuda:1``, ``mps``, ``xpu``.

    Raises:
        ConfigError: PyTorch does not know the name, or this machine has no such device.
    """
    try:
        device = pick_device(name)
        if device.type == "meta":
            raise RuntimeError("it has shapes but no values, so nothing can be computed on it")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"The device {name!r} cannot be used here: {reason}\n"
            "`limner doctor` lists the devices of this machine; `--device auto` picks one."
        ) from None
    return device


def synchronize(device: torch.device) -> None:
    """Wait until all work queued on a device is done; does nothing on a CPU."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def pick_device(device: str = "auto") -> torch.device:
    """Return the named torch device; ``auto`` is the accelerator if available, else the CPU."""
    if device != "auto":
        return torch.device(device)
    # In two steps, since PyTorch 2.6 returns the accelerator that it was built for even if it is absent.
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return torch.device("cpu") if found is None else found
