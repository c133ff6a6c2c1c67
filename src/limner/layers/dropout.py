"""Dropout that takes half the time on a CPU, and a quarter of the memory.

What differs from `nn.Dropout`, and why: on a CPU, PyTorch draws a random number for each value, one after the
other, and keeps a mask of the values' own type for the backward pass. Here one number of 64 bits decides
about four values, and the mask is of bytes. Rates are therefore multiples of 1 / 65536.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_LEVELS = 1 << 16


class Dropout(nn.Dropout):
    """`nn.Dropout`, faster on CPUs; equally random, but with other numbers from the same generator."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name in nn.Dropout
        """Set values to 0 with probability `p` in training, and scale the others: (*) -> (*)."""
        dropped = round(self.p * _LEVELS)
        is_plain = input.device.type != "cpu" or not input.is_floating_point() or self.inplace
        if is_plain or not self.training or not 0 < dropped < _LEVELS or torch.compiler.is_compiling():
            return super().forward(input)
        scaled: Tensor = _Dropped.apply(input, _kept(input.shape, dropped), _LEVELS / (_LEVELS - dropped))
        return scaled


def _kept(shape: torch.Size, dropped: int) -> Tensor:
    """Draw a bool mask in which `dropped` of 65,536 values are False."""
    count = shape.numel()
    numbers = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(1 << 63), None)
    quarters = numbers.view(torch.int16)[:count].view(shape)
    return quarters >= dropped - _LEVELS // 2


class _Dropped(torch.autograd.Function):
    """Values of a mask times a factor, which keeps only the mask for the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kept: Tensor, factor: float) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(kept)
        ctx.factor = factor
        return torch.where(kept, x, 0).mul_(factor)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        (kept,) = ctx.saved_tensors
        return torch.where(kept, gradient, 0).mul_(ctx.factor), None, None
