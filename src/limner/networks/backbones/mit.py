"""MiT, the Mix Transformer: attention at four resolutions with reduced keys and no position embeddings.

Paper: SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers (Xie et al., NeurIPS
2021), https://arxiv.org/abs/2105.15203. Authors' code: https://github.com/NVlabs/SegFormer (NVIDIA Source
Code License, for research only). Written from the paper; parameters are named as in the authors' weight
files, so that those load.

What differs, and why: nothing in the arithmetic. Maps stay channels-last throughout, so that a linear
layer, a convolution and attention read the same memory without a copy.

Shape legend: B batch, C channels, h and w the height and width of a stage's map, N = h * w its pixels, R the
reduction of the keys.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from limner.layers.drop_path import DropPath, drop_path_rates

HEADS = (1, 2, 5, 8)  # table 6 of the paper, as for the next three
REDUCTIONS = (8, 4, 2, 1)
EXPANSION = 4
EPSILON = 1e-6  # the authors' code; where it gives none, PyTorch's default of 1e-5 applies


@dataclass(frozen=True)
class MixTransformerShape:
    """Hyperparameters of one member of the family.

    Attributes:
        blocks: Transformer blocks in each of the four stages.
        widths: Channels of each stage.
    """

    blocks: tuple[int, int, int, int]
    widths: tuple[int, int, int, int] = (64, 128, 320, 512)


MIX_TRANSFORMERS = {
    "mit_b0": MixTransformerShape((2, 2, 2, 2), (32, 64, 160, 256)),
    "mit_b1": MixTransformerShape((2, 2, 2, 2)),
    "mit_b2": MixTransformerShape((3, 4, 6, 3)),
    "mit_b3": MixTransformerShape((3, 4, 18, 3)),
    "mit_b4": MixTransformerShape((3, 8, 27, 3)),
    "mit_b5": MixTransformerShape((3, 6, 40, 3)),
}
"""Name -> shape."""


class MixTransformer(nn.Module):
    """Mix Transformer that returns its four feature maps.

    Attributes:
        channels: Channels of each map that `forward` returns.
        strides: Stride of each map relative to the input, in pixels.
    """

    def __init__(self, shape: MixTransformerShape, *, in_channels: int = 3, drop_path: float = 0.1) -> None:
        """Build the pyramid with random weights.

        Args:
            shape: The Mix Transformer to build.
            in_channels: Channels of the image.
            drop_path: Stochastic depth rate of the last block; 0.1 is the paper's.
        """
        super().__init__()
        self.channels = shape.widths
        self.strides = (4, 8, 16, 32)
        rates = iter(drop_path_rates(drop_path, sum(shape.blocks)))
        for index, (num_blocks, width) in enumerate(zip(shape.blocks, shape.widths, strict=True)):
            stage = str(index + 1)
            before = shape.widths[index - 1] if index else in_channels
            self.add_module("patch_embed" + stage, _PatchEmbedding(before, width, coarse=index == 0))
            blocks = nn.ModuleList(
                _Block(width, num_heads=HEADS[index], reduction=REDUCTIONS[index], drop_path=next(rates))
                for _ in range(num_blocks)
            )
            self.add_module("block" + stage, blocks)
            self.add_module("norm" + stage, nn.LayerNorm(width, eps=EPSILON))
        _initialize(self)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the maps from the finest to the coarsest: (B, C_i, H / stride_i, W / stride_i)."""
        maps = []
        features = images
        for stage in "1234":
            x = self.get_submodule("patch_embed" + stage)(features)  # (B, h, w, C)
            for block in self.get_submodule("block" + stage).children():
                x = block(x)
            features = self.get_submodule("norm" + stage)(x).permute(0, 3, 1, 2)
            maps.append(features)
        return tuple(maps)


class _PatchEmbedding(nn.Module):
    """Overlapping patches: 7x7 at stride 4 on the image, 3x3 at stride 2 between stages."""

    def __init__(self, in_channels: int, width: int, *, coarse: bool) -> None:
        super().__init__()
        side = 7 if coarse else 3
        self.proj = nn.Conv2d(in_channels, width, side, stride=4 if coarse else 2, padding=side // 2)
        self.norm = nn.LayerNorm(width)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, C, H, W) to (B, h, w, width)."""
        embedded: torch.Tensor = self.norm(self.proj(features).permute(0, 2, 3, 1))
        return embedded


class _Block(nn.Module):
    """Pre-norm residual block: efficient self-attention, then Mix-FFN."""

    def __init__(self, width: int, *, num_heads: int, reduction: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=EPSILON)
        self.attn = _EfficientAttention(width, num_heads=num_heads, reduction=reduction)
        self.norm2 = nn.LayerNorm(width, eps=EPSILON)
        self.mlp = _MixFFN(width)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, h, w, C) to (B, h, w, C)."""
        x = x + self.drop_path(self.attn(self.norm1(x)))
        out: torch.Tensor = x + self.drop_path(self.mlp(self.norm2(x)))
        return out


class _EfficientAttention(nn.Module):
    """Self-attention with keys and values from a map that is R times smaller along each axis."""

    def __init__(self, width: int, *, num_heads: int, reduction: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)
        self.sr = nn.Conv2d(width, width, reduction, stride=reduction) if reduction > 1 else None
        self.norm = nn.LayerNorm(width) if reduction > 1 else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, h, w, C) to (B, h, w, C)."""
        batch, height, width, channels = x.shape
        heads = (self.num_heads, channels // self.num_heads)
        query = self.q(x).view(batch, height * width, *heads).transpose(1, 2)  # (B, heads, N, C / heads)
        source = x
        if self.sr is not None and self.norm is not None:
            source = self.norm(self.sr(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))  # (B, h / R, w / R, C)
        pairs = self.kv(source).view(batch, -1, 2, *heads).permute(2, 0, 3, 1, 4)
        key, value = pairs.unbind(0)  # (B, heads, N / R^2, C / heads)
        mixed = F.scaled_dot_product_attention(query, key, value)
        out: torch.Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, height, width, channels))
        return out


class _MixFFN(nn.Module):
    """Two linear layers with a depthwise 3x3 convolution between; its zero padding encodes positions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = EXPANSION * width
        self.fc1 = nn.Linear(width, hidden)
        # Wrapped because the authors' weight files name it dwconv.dwconv.
        self.dwconv = nn.Sequential()
        self.dwconv.add_module("dwconv", nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden))
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, h, w, C) to (B, h, w, C)."""
        hidden = self.dwconv(self.fc1(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        out: torch.Tensor = self.fc2(F.gelu(hidden))
        return out


def _initialize(network: nn.Module) -> None:
    """Initialise as the authors do: small linear weights, He initialisation of convolutions, zero biases."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
        elif isinstance(module, nn.Conv2d):
            fan_out = module.weight.numel() // module.in_channels
            nn.init.normal_(module.weight, std=(2 / fan_out) ** 0.5)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
