"""Sums over the hardest pixels, whose number depends on the batch, without waiting for their device."""

import torch
from torch import Tensor


def fraction_of(count: Tensor, fraction: float) -> Tensor:
    """Return the fraction of a number, rounded down.

    Args:
        count: Scalar int64.
        fraction: May be above 1.
    """
    # Not every accelerator has float64, and there a pixel more or less does not matter.
    exact = torch.float64 if count.device.type == "cpu" else torch.float32
    return (count.to(exact) * fraction).long()


def sum_of_largest(values: Tensor, count: Tensor) -> Tensor:
    """Return the sum of the `count` largest of some values, without waiting for their device.

    Args:
        values: (N,).
        count: Scalar int64, N at most.
    """
    if values.device.type == "cpu":
        return values.topk(int(count), sorted=False).values.sum()
    # Sorting all takes longer than finding some, and less than the pause of the device.
    ordered = values.sort(descending=True).values
    return ordered.where(torch.arange(len(values), device=values.device) < count, 0).sum()
