"""Copies of batches from the host to a device, at the time that the device computes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch

from limner.core.batch import Batch
from limner.devices.backends import copies_from_host
from limner.devices.device import synchronize

TIMED_BYTES, TIMED_COPIES = 64 * 2**20, 5
"""Size and number of the copies that `bandwidth` times."""


@cache
def pins_memory(device: torch.device) -> bool:
    """Return whether copies to a device are faster from page-locked memory of the host.

    From such memory a device copies while it computes. Plug-ins may not support it, so it is tried.
    """
    accelerator = torch.accelerator.current_accelerator()
    if not copies_from_host(device) or accelerator is None or device.type != accelerator.type:
        return False
    try:
        return torch.empty(1, pin_memory=True).is_pinned()
    except (RuntimeError, NotImplementedError):
        return False


class HostCopies:
    """Copies batches to a device, on a second stream if they are in page-locked memory.

    The training loop queues work faster than the device does it: it asks for the copy of a batch while the
    device still computes earlier steps. On a second stream the copy runs at once, so that the next step need
    not wait for it. The loop reads results every ten steps, so at most ten batches are on the way.

    Args:
        device: Device of the copies.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.Stream(device) if pins_memory(device) else None

    def __call__(self, batch: Batch) -> Batch:
        """Return the batch on the device, ready for work that is queued from now on."""
        if self._stream is None or not batch.images.is_pinned():
            return batch.to(self._device)
        computing = torch.accelerator.current_stream(self._device)
        with _on_stream(self._stream, then=computing):
            copied = batch.to(self._device)
        computing.wait_stream(self._stream)
        for tensor in copied.tensors():
            # Otherwise the allocator could reuse the memory before the computation has read it. Some targets
            # stay on the host.
            if tensor.device.type != "cpu":
                tensor.record_stream(computing)
        return copied


@contextmanager
def _on_stream(stream: torch.Stream, *, then: torch.Stream) -> Iterator[None]:
    torch.accelerator.set_stream(stream)
    try:
        yield
    finally:
        torch.accelerator.set_stream(then)


def bandwidth(device: torch.device, *, pinned: bool) -> float:
    """Return the speed of copies from the host to a device, in bytes per second.

    Args:
        device: An accelerator with memory of its own.
        pinned: Whether to copy from page-locked memory.
    """
    source = torch.empty(TIMED_BYTES, dtype=torch.uint8, pin_memory=pinned)
    target = torch.empty(TIMED_BYTES, dtype=torch.uint8, device=device)
    target.copy_(source, non_blocking=True)
    synchronize(device)
    began = time.perf_counter()
    for _ in range(TIMED_COPIES):
        target.copy_(source, non_blocking=True)
    synchronize(device)
    return TIMED_COPIES * TIMED_BYTES / max(time.perf_counter() - began, 1e-9)
