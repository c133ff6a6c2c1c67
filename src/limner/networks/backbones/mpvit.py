"""MPViT: parallel paths with patches of several sizes, each with its own transformer, beside a convolution.

Paper: MPViT: Multi-Path Vision Transformer for Dense Prediction (Lee et al., CVPR 2022),
https://arxiv.org/abs/2112.11010; its attention is that of Co-Scale Conv-Attentional Image Transformers (Xu et
al., ICCV 2021), https://arxiv.org/abs/2104.06399. Written from the papers alone; the authors' code
(https://github.com/youngwanLEE/MPViT) is under the GPL and was not read.

Shape legend: B batch, C channels, h and w the height and width of a stage's map, N = h * w tokens, G heads.
"""

from dataclasses import dataclass

import torch
from torch import nn

from limner.layers.convolution import ConvNormAct
from limner.layers.drop_path import DropPath, drop_path_rates
from limner.layers.transformer_block import TokenMLP, initialize_tokens

HEADS = 8
WINDOWS = {3: 2, 5: 3, 7: 3}  # window size -> heads that use it: Co-Scale, section 3.2
EPSILON = 1e-6
PATHS = (2, 3, 3, 3)


@dataclass(frozen=True)
class MPViTShape:
    """Hyperparameters of one member of the family: table 1 of the paper.

    Attributes:
        widths: Channels inside each of the four stages; a stage outputs the next stage's width.
        blocks: Transformer blocks of each path, by stage.
        expansion: Ratio of the hidden to the input channels of the MLPs.
    """

    widths: tuple[int, int, int, int]
    blocks: tuple[int, int, int, int]
    expansion: int = 4


MPVITS = {
    "mpvit_tiny": MPViTShape((64, 96, 176, 216), (1, 2, 4, 1), expansion=2),
    "mpvit_xsmall": MPViTShape((64, 128, 192, 256), (1, 2, 4, 1)),
    "mpvit_small": MPViTShape((64, 128, 216, 288), (1, 3, 6, 3)),
    "mpvit_base": MPViTShape((128, 224, 368, 480), (1, 3, 8, 3)),
}
"""Name -> shape."""


class MPViT(nn.Module):
    """Multi-Path Vision Transformer that returns its four feature maps.

    Attributes:
        channels: Channels of each map that `forward` returns.
        strides: Stride of each map relative to the input, in pixels.
    """

    def __init__(self, shape: MPViTShape, *, in_channels: int = 3, drop_path: float = 0.2) -> None:
        """Build the pyramid with random weights.

        Args:
            shape: The MPViT to build.
            in_channels: Channels of the image.
            drop_path: Stochastic depth rate of the last block of each path; 0.2 in the paper for
                segmentation.
        """
        super().__init__()
        self.channels = (*shape.widths[1:], shape.widths[-1])
        self.strides = (4, 8, 16, 32)
        first = shape.widths[0]
        self.stem = nn.Sequential(
            ConvNormAct(in_channels, first // 2, stride=2, activation="hardswish"),
            ConvNormAct(first // 2, first, stride=2, activation="hardswish"),
        )
        rates = drop_path_rates(drop_path, sum(shape.blocks))
        self.stages = nn.ModuleList()
        for stage, (width, num_blocks) in enumerate(zip(shape.widths, shape.blocks, strict=True)):
            own, rates = rates[:num_blocks], rates[num_blocks:]
            self.stages.append(
                _Stage(
                    width,
                    self.channels[stage],
                    own,
                    num_paths=PATHS[stage],
                    stride=2 if stage else 1,
                    expansion=shape.expansion,
                )
            )
        initialize_tokens(self)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the maps from the finest to the coarsest: (B, C_i, H / stride_i, W / stride_i)."""
        x = self.stem(images)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return tuple(maps)


class _Stage(nn.Module):
    """Patches of growing size, a transformer on each, a convolution on the smallest; all are concatenated."""

    def __init__(
        self,
        width: int,
        out_channels: int,
        rates: list[float],
        *,
        num_paths: int,
        stride: int,
        expansion: int,
    ) -> None:
        super().__init__()
        # Each reads the one before, so the patches grow: 3x3, 5x5, 7x7.
        self.patches = nn.ModuleList(
            _SeparableConv(width, stride=1 if path else stride) for path in range(num_paths)
        )
        self.paths = nn.ModuleList(_Path(width, rates, expansion=expansion) for _ in range(num_paths))
        self.local = _Local(width)
        self.join = ConvNormAct((num_paths + 1) * width, out_channels, 1, activation="hardswish")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to (B, C', h / stride, w / stride)."""
        embedded = []
        for patches in self.patches:
            x = patches(x)
            embedded.append(x)
        attended = [path(patches) for path, patches in zip(self.paths, embedded, strict=True)]
        joined: torch.Tensor = self.join(torch.cat([self.local(embedded[0]), *attended], dim=1))
        return joined


class _SeparableConv(nn.Sequential):
    """Depthwise 3x3 convolution, 1x1 convolution, normalisation and activation."""

    def __init__(self, width: int, *, stride: int) -> None:
        super().__init__(
            nn.Conv2d(width, width, 3, stride=stride, padding=1, groups=width, bias=False),
            ConvNormAct(width, width, 1, activation="hardswish"),
        )


class _Local(nn.Sequential):
    """Residual block of a 1x1, a depthwise 3x3 and a 1x1 convolution at constant width."""

    def __init__(self, width: int) -> None:
        super().__init__(
            ConvNormAct(width, width, 1, activation="hardswish"),
            ConvNormAct(width, width, groups=width, activation="hardswish"),
            ConvNormAct(width, width, 1, activation="none"),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        local = x
        for part in self:
            local = part(local)
        return x + local


class _Path(nn.Module):
    """Transformer blocks that share their positional encodings."""

    def __init__(self, width: int, rates: list[float], *, expansion: int) -> None:
        super().__init__()
        self.position = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.windows = _Windows(width)
        self.blocks = nn.ModuleList(_Block(width, expansion=expansion, drop_path=rate) for rate in rates)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to (B, C, h, w)."""
        batch, width, *grid = x.shape
        for block in self.blocks:
            x = x + self.position(x)
            tokens = block(x.flatten(2).transpose(1, 2), grid, self.windows)
            x = tokens.transpose(1, 2).reshape(batch, width, *grid)
        return x


class _Windows(nn.Module):
    """Depthwise convolutions of the values as relative positions, with one window size per group of heads."""

    def __init__(self, width: int) -> None:
        super().__init__()
        each = width // HEADS
        self._widths = [heads * each for heads in WINDOWS.values()]
        self.convs = nn.ModuleList(
            nn.Conv2d(heads * each, heads * each, side, padding=side // 2, groups=heads * each)
            for side, heads in WINDOWS.items()
        )

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to (B, C, h, w)."""
        groups = torch.split(values, self._widths, dim=1)
        return torch.cat([conv(group) for conv, group in zip(self.convs, groups, strict=True)], dim=1)


class _Block(nn.Module):
    def __init__(self, width: int, *, expansion: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=EPSILON)
        self.attention = _FactorizedAttention(width)
        self.norm2 = nn.LayerNorm(width, eps=EPSILON)
        self.mlp = TokenMLP(width, expansion * width)
        self.drop_path = DropPath(drop_path)

    def forward(self, tokens: torch.Tensor, grid: list[int], windows: nn.Module) -> torch.Tensor:
        """Map (B, N, C) to (B, N, C)."""
        tokens = tokens + self.drop_path(self.attention(self.norm1(tokens), grid, windows))
        out: torch.Tensor = tokens + self.drop_path(self.mlp(self.norm2(tokens)))
        return out


class _FactorizedAttention(nn.Module):
    """Factorised attention, linear in the number of tokens: Co-Scale, equations 4 and 8."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: torch.Tensor, grid: list[int], windows: nn.Module) -> torch.Tensor:
        """Map (B, N, C) to (B, N, C)."""
        batch, length, width = tokens.shape
        parts = self.qkv(tokens).view(batch, length, 3, HEADS, width // HEADS)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, G, N, C / G)
        summary = key.softmax(dim=2).transpose(2, 3) @ value  # (B, G, C / G, C / G)
        around = windows(value.transpose(2, 3).reshape(batch, width, *grid))
        around = around.view(batch, HEADS, width // HEADS, length).transpose(2, 3)
        mixed = (query @ summary) * (width // HEADS) ** -0.5 + query * around
        out: torch.Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, length, width))
        return out
