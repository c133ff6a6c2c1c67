"""Accelerate set up for the device and the precision of a run."""

import os

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType

from limner.core.errors import ConfigError
from limner.devices.device import choose_device

ACCELERATE_NAMES = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}
"""limner's names of number formats -> accelerate's."""

SPLIT_MODELS = ("FSDP", "DEEPSPEED", "MEGATRON_LM", "TP")
"""Ways of distributing in which a process holds a part of the model; limner's checkpoints hold whole ones."""


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
    if "WORLD_SIZE" not in os.environ:
        # accelerate keeps one state for the whole process; without this, a second run in a notebook
        # would silently train on the device and in the precision of the first.
        AcceleratorState._reset_state(reset_partial_state=True)
        if chosen.index:
            torch.get_device_module(chosen).set_device(chosen.index)
    accelerator = Accelerator(cpu=chosen.type == "cpu", mixed_precision=ACCELERATE_NAMES[precision])
    if accelerator.distributed_type in {getattr(DistributedType, name, None) for name in SPLIT_MODELS}:
        raise ConfigError(
            f"accelerate is set up for {accelerator.distributed_type}, which splits the model over "
            "processes; limner's checkpoints hold whole models. Choose multi-GPU or multi-CPU in: "
            "accelerate config."
        )
    return accelerator
