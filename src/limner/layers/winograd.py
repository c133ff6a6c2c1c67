"""3x3 convolutions of wide maps with fewer products, for training on CPU in float32.

Paper: Fast Algorithms for Convolutional Neural Networks (Lavin and Gray, CVPR 2016),
https://arxiv.org/abs/1509.09308, the algorithm F(2x2, 3x3): a 2x2 tile of the output takes 16 products a
channel pair instead of 36. The results equal those of the direct convolution up to rounding (about 2e-6 of
the largest value).

The direct convolutions of PyTorch on CPU run at the speed of matrix products already, so that fewer products
are the only way to be faster. What the tiles cost beside the products grows with the channels, the products
with their square: it pays from 256 channels (measured: 1.3 to 1.45 times faster forward and backward; slower
at 128).

Shape legend: B batch, C input channels, D output channels, h and w tiles down and across, N = B h w.
"""

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

_FEWEST_CHANNELS = 256
_FEWEST_PIXELS = 1024
"""Pixels in the batch below which the transformed kernel costs more than it saves."""


class WideConv2d(nn.Conv2d):
    """A 3x3 convolution of stride 1 that keeps the size, by F(2x2, 3x3) where that is faster.

    While training it keeps the transformed input for the backward pass, four times the input's memory.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve (B, C, H, W) to (B, D, H, W)."""
        if not self._pays(x):
            return super().forward(x)
        convolved: torch.Tensor = _Winograd.apply(x, self.weight, self.dilation[0])
        return convolved

    def _pays(self, x: torch.Tensor) -> bool:
        step = 2 * self.dilation[0]
        return (
            x.device.type == "cpu"
            and torch.is_grad_enabled()
            and not torch.is_autocast_enabled("cpu")
            and not torch.compiler.is_compiling()
            and x.dtype == self.weight.dtype == torch.float32
            and min(self.weight.shape[:2]) >= _FEWEST_CHANNELS
            and x.shape[0] * x.shape[2] * x.shape[3] >= _FEWEST_PIXELS
            and x.shape[2] % step == 0
            and x.shape[3] % step == 0
        )


class _Winograd(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: torch.Tensor, weight: torch.Tensor, dilation: int) -> torch.Tensor:  # type: ignore[no-untyped-def]  # noqa: ANN001
        tiles, shape = _tiles(x, dilation)
        ctx.save_for_backward(tiles, weight)
        ctx.dilation = dilation
        return _assemble(torch.bmm(tiles, _kernel(weight)), shape, dilation)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: torch.Tensor):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN205
        tiles, weight = ctx.saved_tensors
        dilation = ctx.dilation
        out_channels, in_channels = weight.shape[:2]
        x_gradient = weight_gradient = None
        if ctx.needs_input_grad[0]:
            turned = weight.flip(2, 3).transpose(0, 1)
            gradient_tiles, shape = _tiles(gradient, dilation)
            x_gradient = _assemble(torch.bmm(gradient_tiles, _kernel(turned)), shape, dilation)
        if ctx.needs_input_grad[1]:
            products = torch.bmm(tiles.transpose(1, 2), _spread(gradient, dilation))  # (16, C, D)
            taps = _kernel_transform(weight).T @ products.view(16, -1)
            weight_gradient = taps.view(3, 3, in_channels, out_channels).permute(3, 2, 0, 1)
        return x_gradient, weight_gradient, None


def _kernel_transform(like: torch.Tensor) -> torch.Tensor:
    g = like.new_tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]])
    return torch.einsum("ay,bx->abyx", g, g).reshape(16, 9)


def _kernel(weight: torch.Tensor) -> torch.Tensor:
    """Transform (D, C, 3, 3) to (16, C, D)."""
    out_channels, in_channels = weight.shape[:2]
    taps = weight.permute(2, 3, 1, 0).reshape(9, -1)
    return (_kernel_transform(weight) @ taps).view(16, in_channels, out_channels)


def _phases(x: torch.Tensor, dilation: int) -> torch.Tensor:
    """Turn (B, C, H, W) into channels-last (B d d, H / d, W / d, C): taps d apart become neighbours."""
    rows = x.permute(0, 2, 3, 1)
    if dilation == 1:
        return rows.contiguous()
    batch, height, width, channels = rows.shape
    grid = rows.reshape(batch, height // dilation, dilation, width // dilation, dilation, channels)
    return grid.permute(0, 2, 4, 1, 3, 5).reshape(-1, height // dilation, width // dilation, channels)


def _tiles(x: torch.Tensor, dilation: int) -> tuple[torch.Tensor, tuple[int, int, int]]:
    """Transform overlapping 4x4 tiles: (B, C, H, W) to (16, N, C), with (B, h, w)."""
    rows = F.pad(_phases(x, dilation), (0, 0, 1, 1, 1, 1))
    batch, high, wide, channels = rows.shape
    down, across = high // 2 - 1, wide // 2 - 1
    tiles = rows.new_empty(4, 4, batch, down, across, channels)
    picked = [rows[:, o : o + 2 * down - 1 : 2] for o in range(4)]
    vertical = (picked[0] - picked[2], picked[1] + picked[2], picked[2] - picked[1], picked[1] - picked[3])
    for index, part in enumerate(vertical):
        a, b, c, d = (part[:, :, o : o + 2 * across - 1 : 2] for o in range(4))
        torch.sub(a, c, out=tiles[index, 0])
        torch.add(b, c, out=tiles[index, 1])
        torch.sub(c, b, out=tiles[index, 2])
        torch.sub(b, d, out=tiles[index, 3])
    return tiles.view(16, -1, channels), (batch, down, across)


def _assemble(products: torch.Tensor, shape: tuple[int, int, int], dilation: int) -> torch.Tensor:
    """Transform (16, N, D) back to (B, D, H, W)."""
    batch, down, across = shape
    m = products.view(4, 4, batch, down, across, -1)
    channels = m.shape[-1]
    tiles = m.new_empty(batch, down, 2, across, 2, channels)
    for row, part in enumerate(((m[0] + m[1]).add_(m[2]), (m[1] - m[2]).sub_(m[3]))):
        tiles[:, :, row, :, 0] = (part[0] + part[1]).add_(part[2])
        tiles[:, :, row, :, 1] = (part[1] - part[2]).sub_(part[3])
    rows = tiles.view(batch, 2 * down, 2 * across, channels)
    if dilation > 1:
        grid = rows.view(-1, dilation, dilation, 2 * down, 2 * across, channels).permute(0, 3, 1, 4, 2, 5)
        rows = grid.reshape(-1, 2 * down * dilation, 2 * across * dilation, channels)
    return rows.permute(0, 3, 1, 2)


def _spread(gradient: torch.Tensor, dilation: int) -> torch.Tensor:
    """Do the transpose of `_assemble`: (B, D, H, W) to (16, N, D)."""
    rows = _phases(gradient, dilation)
    batch, high, wide, channels = rows.shape
    tiles = rows.view(batch, high // 2, 2, wide // 2, 2, channels)
    spread = rows.new_empty(4, 4, batch, high // 2, wide // 2, channels)
    upper, lower = tiles[:, :, 0], tiles[:, :, 1]
    for index, part in enumerate((upper, upper + lower, upper - lower, -lower)):
        left, right = part[:, :, :, 0], part[:, :, :, 1]
        spread[index, 0] = left
        torch.add(left, right, out=spread[index, 1])
        torch.sub(left, right, out=spread[index, 2])
        torch.neg(right, out=spread[index, 3])
    return spread.view(16, -1, channels)
