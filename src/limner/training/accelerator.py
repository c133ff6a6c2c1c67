"""Setup of accelerate for the device and precision of a run."""

import atexit
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module

import accelerate
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType, InitProcessGroupKwargs, parse_flag_from_env
from torch import distributed

from limner.core.errors import ConfigError
from limner.devices.device import choose_device
from limner.devices.processes import is_launched_by_limner, join_slurm_step, num_local_processes
from limner.training.sharded_model import leave_meshes

ACCELERATE_NAMES = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}
"""limner's names of precisions -> accelerate's."""

DEVICE_VARIABLE = "ACCELERATE_TORCH_DEVICE"
"""Environment variable that sets accelerate's device of a single process."""

SPLIT_MODELS = ("FSDP", "DEEPSPEED", "MEGATRON_LM", "TP")
"""Unsupported distribution types of accelerate that split the model over processes: `sharding` does so."""


LONGEST_EXCHANGE = timedelta(hours=6)
"""How long a collective operation may wait for other processes, such as for the first one's last work; what
dies or hangs is noticed much earlier by `ProcessWatch`."""


def build_accelerator(device: str, *, precision: str) -> Accelerator:
    """Set up accelerate for this process.

    Args:
        device: ``auto`` for the machine's accelerator or else the CPU; or a PyTorch device name such as
            ``cpu``, ``cuda:1``, ``mps``.
        precision: Precision of the plan.

    Raises:
        ConfigError: The device is unavailable or does not support that precision, there are fewer devices
            than processes, or `accelerate launch` is configured to split the model.
    """
    join_slurm_step()
    chosen = choose_device(device)
    if precision == "float16" and chosen.type == "cpu":
        raise ConfigError(
            "train.precision float16 needs an accelerator: on a CPU it is slow and overflows. "
            "Use --set train.precision=bfloat16 or float32."
        )
    _refuse_too_few(chosen)
    if "WORLD_SIZE" not in os.environ:
        # accelerate has one global state per process; without this reset, a second run in a notebook
        # would silently use the device and precision of the first.
        AcceleratorState._reset_state(reset_partial_state=True)
        if chosen.index:
            torch.get_device_module(chosen).set_device(chosen.index)
    elif distributed.is_available() and not distributed.is_initialized():
        # Imported here, since wrapping a model would import it later, when the process group is the default
        # of its functions' arguments: so the group would survive its end.
        import_module("torch.distributed.nn")
        atexit.register(_leave_group)
    on_cpu = chosen.type == "cpu" or parse_flag_from_env("ACCELERATE_USE_CPU")
    with _device_for_accelerate(torch.device("cpu") if on_cpu else chosen):
        accelerator = _accelerator(precision, on_cpu=on_cpu)
    if accelerator.device.type == "cpu" and not on_cpu:
        raise ConfigError(
            f"accelerate {accelerate.__version__} cannot train in several processes on {chosen.type!r}, and "
            "would use the CPU. Train in one process; --device cpu would train on the CPU."
        )
    if accelerator.distributed_type in {getattr(DistributedType, name, None) for name in SPLIT_MODELS}:
        raise ConfigError(
            f"accelerate is set up for {accelerator.distributed_type}, which splits the model over "
            "processes. Choose multi-GPU or multi-CPU in: accelerate config. To let limner split the model, "
            "use --set train.sharding=full."
        )
    return accelerator


def _accelerator(precision: str, *, on_cpu: bool) -> Accelerator:
    try:
        return Accelerator(
            cpu=on_cpu,
            mixed_precision=ACCELERATE_NAMES[precision],
            kwargs_handlers=[InitProcessGroupKwargs(timeout=LONGEST_EXCHANGE)],
        )
    except ValueError as error:
        raise ConfigError(
            f"train.precision {precision} cannot be used here: {error} Use --set train.precision=float32."
        ) from None


@contextmanager
def _device_for_accelerate(chosen: torch.device) -> Iterator[None]:
    """Set the device of accelerate, which uses the CPU if it does not know the accelerator.

    In several processes it chooses the device itself, by the local rank.
    """
    if "WORLD_SIZE" in os.environ:
        yield
        return
    before = os.environ.get(DEVICE_VARIABLE)
    os.environ[DEVICE_VARIABLE] = str(chosen)
    try:
        yield
    finally:
        del os.environ[DEVICE_VARIABLE]
        if before is not None:
            os.environ[DEVICE_VARIABLE] = before


def _refuse_too_few(chosen: torch.device) -> None:
    """Refuse to share an accelerator between processes that limner has started.

    Raises:
        ConfigError: There are fewer devices than processes.
    """
    if chosen.type == "cpu" or not is_launched_by_limner():
        return
    wanted, there = num_local_processes(), torch.get_device_module(chosen).device_count()
    if wanted > there:
        raise ConfigError(f"--devices is {wanted}, and this machine has {there} of the type {chosen.type}.")


def _leave_group() -> None:
    """End the threads of the process group, which now and then abort a process that ends while they run."""
    gc.collect()  # wrapped models hold the group
    leave_meshes()
    if distributed.is_initialized():
        distributed.destroy_process_group()
