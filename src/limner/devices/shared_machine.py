"""Several trainings at the same time on one machine: an accelerator each, or a part of the cores."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from limner.core.errors import ConfigError
from limner.devices.device import choose_device
from limner.devices.host import cores_of_each
from limner.devices.processes import LOCAL_PROCESSES


def devices_of(device: str, processes: int) -> tuple[str, ...]:
    """Return the device of each of several processes that do not train together.

    Args:
        device: ``auto``, or a PyTorch device name.
        processes: Number of processes.

    Raises:
        ConfigError: There is no such device, or there are fewer accelerators than processes.
    """
    if processes == 1:
        return (device,)
    chosen = choose_device(device)
    if chosen.type == "cpu":
        return (device,) * processes
    there = 1 if ":" in device else torch.get_device_module(chosen).device_count()
    if processes > there:
        raise ConfigError(
            f"--processes {processes} trains on a device each, and --device {device} is {there} of the type "
            f"{chosen.type}. Use --processes {there}, or --device {chosen.type} if there are more."
        )
    return tuple(f"{chosen.type}:{number}" for number in range(processes))


@contextmanager
def shared_machine(processes: int) -> Iterator[None]:
    """Give this process, and those that are started in the block, their part of cores and memory.

    The number of threads stays if the user chose it.

    Args:
        processes: Number of processes that compute at the same time; 1 changes nothing.
    """
    if processes == 1:
        yield
        return
    threads, own = torch.get_num_threads(), cores_of_each(processes)
    given = {LOCAL_PROCESSES: str(processes)}
    if "OMP_NUM_THREADS" not in os.environ:
        given["OMP_NUM_THREADS"] = str(own)
        torch.set_num_threads(own)
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
