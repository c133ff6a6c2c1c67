"""Swin: attention inside windows that are shifted by half their size in every second block.

Paper: Swin Transformer: Hierarchical Vision Transformer using Shifted Windows (Liu et al., ICCV 2021),
https://arxiv.org/abs/2103.14030. Authors' code: https://github.com/microsoft/Swin-Transformer (MIT licence);
parameters are named as in timm, so its weight files load.

Why not timm's own: on maps that are not a multiple of the window size, timm pads after the shift, so opposite
borders of the image meet in one window, and it does not shift the windows of the last stage. The authors pad
first and always shift. The two agree only in the other stages, and only for sides that are multiples of 224.

Shape legend: B batch, C channels, h and w the height and width of a stage's map, S side of the windows, W
windows of an image, N = S * S pixels of a window.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from limner.layers.drop_path import DropPath, drop_path_rates
from limner.layers.transformer_block import TokenMLP, initialize_tokens

PATCH = 4
EXPANSION = 4
BLOCKED = -100.0  # the authors' attention mask value for a pair of pixels from different regions


@dataclass(frozen=True)
class SwinShape:
    """Hyperparameters of one member of the family.

    Attributes:
        width: Channels of the first stage; each further stage doubles them.
        blocks: Transformer blocks in each of the four stages.
        heads: Attention heads in each of the four stages.
        window: S.
    """

    width: int
    blocks: tuple[int, int, int, int]
    heads: tuple[int, int, int, int]
    window: int = 7


_BASE = (128, (2, 2, 18, 2), (4, 8, 16, 32))
_LARGE = (192, (2, 2, 18, 2), (6, 12, 24, 48))
SWINS = {
    "swin_tiny_patch4_window7_224": SwinShape(96, (2, 2, 6, 2), (3, 6, 12, 24)),
    "swin_small_patch4_window7_224": SwinShape(96, (2, 2, 18, 2), (3, 6, 12, 24)),
    "swin_base_patch4_window7_224": SwinShape(*_BASE),
    "swin_base_patch4_window12_384": SwinShape(*_BASE, window=12),
    "swin_large_patch4_window7_224": SwinShape(*_LARGE),
    "swin_large_patch4_window12_384": SwinShape(*_LARGE, window=12),
}
"""Name -> shape."""


class Swin(nn.Module):
    """Swin Transformer that returns its four feature maps.

    Attributes:
        channels: Channels of each map that `forward` returns.
        strides: Stride of each map relative to the input, in pixels.
    """

    def __init__(self, shape: SwinShape, *, in_channels: int = 3, drop_path: float = 0.2) -> None:
        """Build the pyramid with random weights.

        Args:
            shape: The Swin Transformer to build.
            in_channels: Channels of the image.
            drop_path: Stochastic depth rate of the last block; 0.2 is the paper's for
                segmentation.
        """
        super().__init__()
        self.channels = tuple(shape.width * 2**stage for stage in range(4))
        self.strides = (4, 8, 16, 32)
        self.patch_embed = _PatchEmbedding(in_channels, shape.width)
        rates = iter(drop_path_rates(drop_path, sum(shape.blocks)))
        self.layers = nn.ModuleList(
            _Stage(
                width,
                [next(rates) for _ in range(num_blocks)],
                num_heads=num_heads,
                window=shape.window,
                merges=width > shape.width,
            )
            for width, num_blocks, num_heads in zip(self.channels, shape.blocks, shape.heads, strict=True)
        )
        initialize_tokens(self)
        for module in self.modules():
            if isinstance(module, _WindowAttention):
                nn.init.trunc_normal_(module.relative_position_bias_table, std=0.02)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the maps from the finest to the coarsest: (B, C_i, H / stride_i, W / stride_i)."""
        x = self.patch_embed(images)
        maps = []
        for stage in self.layers:
            x = stage(x)
            maps.append(x.permute(0, 3, 1, 2))
        return tuple(maps)


class _PatchEmbedding(nn.Module):
    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, width, PATCH, stride=PATCH)
        self.norm = nn.LayerNorm(width)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map (B, C, H, W) to (B, h, w, width)."""
        height, width = images.shape[2:]
        whole = F.pad(images, (0, -width % PATCH, 0, -height % PATCH))
        embedded: torch.Tensor = self.norm(self.proj(whole).permute(0, 2, 3, 1))
        return embedded


class _Stage(nn.Module):
    """Patch merging, except in the first stage, then blocks with alternating regular and shifted windows."""

    def __init__(self, width: int, rates: list[float], *, num_heads: int, window: int, merges: bool) -> None:
        super().__init__()
        self.downsample = _Merging(width // 2) if merges else nn.Identity()
        self.blocks = nn.ModuleList(
            _Block(width, num_heads=num_heads, window=window, moves=index % 2 == 1, drop_path=rate)
            for index, rate in enumerate(rates)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.downsample(x)
        for block in self.blocks:
            x = block(x)
        return x


class _Merging(nn.Module):
    """Merge each 2x2 neighbourhood into one pixel with twice the channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width)
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, h, w, C) to (B, h / 2, w / 2, 2 C)."""
        x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        batch, height, width, channels = x.shape
        pairs = x.view(batch, height // 2, 2, width // 2, 2, channels).permute(0, 1, 3, 4, 2, 5)
        merged: torch.Tensor = self.reduction(self.norm(pairs.flatten(3)))
        return merged


class _Block(nn.Module):
    def __init__(self, width: int, *, num_heads: int, window: int, moves: bool, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = _WindowAttention(width, num_heads=num_heads, window=window, moves=moves)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = TokenMLP(width, EXPANSION * width)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, h, w, C) to (B, h, w, C)."""
        x = x + self.drop_path(self.attn(self.norm1(x)))
        out: torch.Tensor = x + self.drop_path(self.mlp(self.norm2(x)))
        return out


class _WindowAttention(nn.Module):
    """Self-attention inside windows, with a learned bias for each relative position."""

    index: torch.Tensor

    def __init__(self, width: int, *, num_heads: int, window: int, moves: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.window = window
        self.shift = window // 2 if moves else 0
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, num_heads))
        self.register_buffer("index", _offset_index(window), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, h, w, C) to (B, h, w, C)."""
        batch, height, width, channels = x.shape
        side = self.window
        x = F.pad(x, (0, 0, 0, -width % side, 0, -height % side))
        if self.shift:
            x = x.roll((-self.shift, -self.shift), (1, 2))
        rows, columns = x.shape[1] // side, x.shape[2] // side
        windows = x.view(batch, rows, side, columns, side, channels).transpose(2, 3)
        mixed = self._attend(windows.reshape(-1, side**2, channels), self._scores(rows, columns, batch))
        mixed = mixed.view(batch, rows, columns, side, side, channels).transpose(2, 3)
        x = mixed.reshape(batch, rows * side, columns * side, channels)
        if self.shift:
            x = x.roll((self.shift, self.shift), (1, 2))
        return x[:, :height, :width]

    def _attend(self, windows: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Map (B * W, N, C) to (B * W, N, C)."""
        count, area, channels = windows.shape
        parts = self.qkv(windows).view(count, area, 3, self.num_heads, channels // self.num_heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)  # each (B * W, heads, N, C / heads)
        mixed = F.scaled_dot_product_attention(query, key, value, scores.to(query.dtype))
        out: torch.Tensor = self.proj(mixed.transpose(1, 2).reshape(count, area, channels))
        return out

    def _scores(self, rows: int, columns: int, batch: int) -> torch.Tensor:
        """Return the relative position bias and mask: (1 or B * W, heads, N, N)."""
        scores = self.relative_position_bias_table[self.index].permute(2, 0, 1)[None]
        if not self.shift:
            return scores
        regions = self._regions(rows, columns)  # (W, N)
        apart = regions[:, None, :] != regions[:, :, None]
        return (scores + BLOCKED * apart[:, None]).repeat(batch, 1, 1, 1)

    def _regions(self, rows: int, columns: int) -> torch.Tensor:
        """Return the region of each pixel in shifted windows: only pixels of one region were neighbours."""
        side = self.window
        numbers = []
        for count in (rows, columns):
            place = torch.arange(count * side, device=self.index.device)
            # Only the last window of an axis mixes regions, through the cyclic shift.
            numbers.append((place >= (count - 1) * side).long() + (place >= count * side - self.shift))
        grid = numbers[0][:, None] * 3 + numbers[1]
        return grid.view(rows, side, columns, side).transpose(1, 2).reshape(rows * columns, side**2)


def _offset_index(window: int) -> torch.Tensor:
    """Return the row of the bias table for each pair of pixels in a window: (N, N)."""
    place = torch.arange(window)
    offset = place[:, None] - place + window - 1  # (S, S), from 0 to 2 S - 2
    across = offset[:, None, :, None] * (2 * window - 1) + offset[None, :, None, :]
    return across.reshape(window**2, window**2)
