"""Which device a run trains on, and accelerate set up for it."""

import os
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType

from limner.core.errors import ConfigError, describe

PRECISIONS = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}
"""limner's names of number formats -> accelerate's."""

WHOLE_COPIES = ("NO", "MULTI_CPU", "MULTI_GPU", "MULTI_XPU", "MULTI_NPU", "MULTI_MLU", "MULTI_MUSA", "MULTI_SDAA",
                "MULTI_HPU", "MULTI_NEURON")
"""Ways of distributing in which each process holds the whole model, which limner's checkpoints assume."""


def build_accelerator(device: str, *, precision: str) -> Accelerator:
    """Set up accelerate for this process.

    Args:
        device: ``auto`` for the machine's accelerator (CUDA, ROCm, MPS, XPU, ...) or else the CPU; or a
            name as PyTorch writes it, such as ``cpu``, ``cuda:1``, ``mps``.
        precision: The plan's.

    Raises:
        ConfigError: The device is not there, cannot compute in that precision, or `accelerate launch`
            was told to split the model itself.
    """
    chosen = choose_device(device)
    if precision == "float16" and chosen.type == "cpu":
        raise ConfigError(
            "train.precision float16 needs an accelerator: on a CPU it is slow and overflows. "
            "Use --set train.precision=bfloat16 or float32."
        )
    if chosen.index is not None:
        torch.accelerator.set_device_index(chosen.index)
    if "WORLD_SIZE" not in os.environ:
        # accelerate keeps one state for the whole process; without this, a second run in a notebook
        # would silently train on the device and in the precision of the first.
        AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(cpu=chosen.type == "cpu", mixed_precision=PRECISIONS[precision])
    _refuse_split_models(accelerator.distributed_type)
    return accelerator


def choose_device(name: str) -> torch.device:
    """Turn ``auto`` or a device's name into a device that is there.

    Raises:
        ConfigError: There is no such device on this machine.
    """
    found = torch.accelerator.current_accelerator(check_available=True)
    if name == "auto":
        return found if found is not None else torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise _no_device(name, found) from None
    if device.type == "cpu":
        return device
    if found is None or device.type != found.type or (device.index or 0) >= torch.accelerator.device_count():
        raise _no_device(name, found)
    return device


def _no_device(name: str, found: torch.device | None) -> ConfigError:
    there = ["cpu"]
    if found is not None:
        there += [f"{found.type}:{i}" for i in range(torch.accelerator.device_count())]
    return ConfigError(
        describe(
            f"There is no device {name!r} on this machine",
            found=", ".join(there),
            mend="Use --device auto, or one of those found. limner doctor says what PyTorch can use.",
        )
    )


def _refuse_split_models(kind: Any) -> None:  # noqa: ANN401 - an enum of a library without types
    allowed = {getattr(DistributedType, name, None) for name in WHOLE_COPIES}
    if kind not in allowed:
        raise ConfigError(
            f"accelerate is set up for {kind}, which splits the model over processes; limner's checkpoints "
            "hold whole models. Choose multi-GPU or multi-CPU (DDP) in: accelerate config."
        )
