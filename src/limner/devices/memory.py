"""After memory ran out: cut the batch into more parts, and give back what is not used."""

import gc

import torch


def more_parts(accumulate: int, batch_size: int) -> int | None:
    """Return into how many parts to cut a batch next: at least twice as many, dividing it evenly.

    Returns:
        None where a part is already a single sample.
    """
    if accumulate >= batch_size:
        return None
    wanted = min(2 * accumulate, batch_size)
    return next(parts for parts in range(wanted, batch_size + 1) if batch_size % parts == 0)


def release_memory(device: torch.device) -> None:
    """Give back what Python and the device's allocator hold without using it."""
    gc.collect()
    if device.type != "cpu":
        backend = getattr(torch, device.type, None)
        empty_cache = getattr(backend, "empty_cache", None)
        if empty_cache is not None:
            empty_cache()
