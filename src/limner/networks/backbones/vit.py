"""ViT: image patches as tokens, processed by transformer blocks at constant resolution.

Paper: An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale (Dosovitskiy et al., ICLR
2021), https://arxiv.org/abs/2010.11929. Authors' code: https://github.com/google-research/vision_transformer
(Apache-2.0 licence); parameters are named as in timm, so its weight files load.

What differs, and why: the position embeddings are resized to the image's patches, and the image is padded at
the bottom and right to whole patches, so any input size works.

Shape legend: B batch, C channels, h and w the patches along height and width, N = h * w tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from limner.core.errors import ConfigError
from limner.layers.drop_path import drop_path_rates
from limner.layers.dropout import Dropout
from limner.layers.transformer_block import LayerScale, TransformerBlock, initialize_tokens

PATCH = 16
EXPANSION = 4
Interpolation = Literal["bicubic", "bilinear"]


@dataclass(frozen=True)
class ViTShape:
    """Hyperparameters of one member of the family.

    Attributes:
        width: Channels of the tokens.
        num_blocks: Transformer blocks.
        num_heads: Attention heads.
        image_size: Side of the images that its pretrained weights were trained on.
        num_registers: Number of register tokens.
        class_position: Whether the class token has its own position embedding.
        layer_scale: Initial LayerScale value, or None without; pretrained weights provide their own.
    """

    width: int
    num_blocks: int
    num_heads: int
    image_size: int = 224
    num_registers: int = 0
    class_position: bool = True
    layer_scale: float | None = None


VITS = {
    "vit_tiny_patch16_224": ViTShape(192, 12, 3),
    "vit_tiny_patch16_384": ViTShape(192, 12, 3, 384),
    "vit_small_patch16_224": ViTShape(384, 12, 6),
    "vit_small_patch16_384": ViTShape(384, 12, 6, 384),
    "vit_base_patch16_224": ViTShape(768, 12, 12),
    "vit_base_patch16_384": ViTShape(768, 12, 12, 384),
    "vit_large_patch16_224": ViTShape(1024, 24, 16),
    "vit_large_patch16_384": ViTShape(1024, 24, 16, 384),
    "deit_tiny_patch16_224": ViTShape(192, 12, 3),
    "deit_small_patch16_224": ViTShape(384, 12, 6),
    "deit_base_patch16_224": ViTShape(768, 12, 12),
    "deit_base_patch16_384": ViTShape(768, 12, 12, 384),
}
"""Name -> shape."""

DINOV2S = {
    "vit_small_patch14_reg4_dinov2": ViTShape(384, 12, 6, 518, 4, class_position=False, layer_scale=1.0),
    "vit_base_patch14_reg4_dinov2": ViTShape(768, 12, 12, 518, 4, class_position=False, layer_scale=1.0),
    "vit_large_patch14_reg4_dinov2": ViTShape(1024, 24, 16, 518, 4, class_position=False, layer_scale=1.0),
}
"""Shapes of Vision Transformers Need Registers (Darcet et al., ICLR 2024), https://arxiv.org/abs/2309.16588.

Their published patches of 14 pixels are resized to `PATCH`.
"""


class ViT(nn.Module):
    """Vision Transformer that returns the tokens of selected blocks as feature maps.

    Attributes:
        channels: Channels of each map that `forward` returns.
        strides: Stride of each map relative to the input, in pixels.
        num_prefixes: Tokens before the patch tokens: the class token and registers.
    """

    def __init__(
        self,
        shape: ViTShape,
        *,
        in_channels: int = 3,
        image_size: int | None = None,
        taps: Sequence[int] | None = None,
        class_token: bool = True,
        final_norm: bool = False,
        interpolation: Interpolation = "bicubic",
        patch_bias: bool = True,
        relative_positions: bool = False,
        layer_scale: float | None = None,
        dropout: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        """Build the transformer with random weights.

        Args:
            shape: The ViT to build.
            in_channels: Channels of the image.
            image_size: Image side that the position embeddings are learned for; they are interpolated for
                other sizes. Defaults to that of the pretrained weights.
            taps: Blocks, counted from 0, whose tokens are returned; defaults to four evenly spaced ones.
            class_token: Add a class token; it is not returned.
            final_norm: Normalise the tokens of the last block.
            interpolation: How position embeddings and relative positions are resized.
            patch_bias: Add a bias to the patch embedding.
            relative_positions: Add a relative position bias in each block.
            layer_scale: Initial LayerScale value; defaults to the shape's.
            dropout: Dropout rate in the blocks' MLPs and of the embedded tokens.
            drop_path: Stochastic depth rate of the last block.

        Raises:
            ConfigError: Relative positions are requested for a ViT with registers, which have no position.
        """
        super().__init__()
        if relative_positions and shape.num_registers:
            raise ConfigError("A ViT with registers has no relative positions: set relative_positions to no.")
        depth, width = shape.num_blocks, shape.width
        self._taps = tuple(taps or (depth * quarter // 4 - 1 for quarter in (1, 2, 3, 4)))
        self.channels: tuple[int, ...] = (width,) * len(self._taps)
        self.strides: tuple[int, ...] = (PATCH,) * len(self._taps)
        self._interpolation = interpolation
        side = (image_size or shape.image_size) // PATCH
        self.patch_embed: nn.Module = _PatchEmbedding(in_channels, width, bias=patch_bias)
        self.cls_token = nn.Parameter(torch.empty(1, 1, width)) if class_token else None
        registers = shape.num_registers
        self.reg_token = nn.Parameter(torch.empty(1, registers, width)) if registers else None
        self.class_position = class_token and shape.class_position
        self.num_prefixes = class_token + registers
        self.pos_embed = nn.Parameter(torch.empty(1, side**2 + self.class_position, width))
        self.dropout = Dropout(dropout)
        self.blocks = _build_blocks(
            shape, max(self._taps) + 1, layer_scale=layer_scale, dropout=dropout, drop_path=drop_path
        )
        biases = [_RelativePositions(side, shape.num_heads, interpolation) for _ in self.blocks]
        self.relative_positions = nn.ModuleList(biases) if relative_positions else None
        self.norm = nn.LayerNorm(width, eps=1e-6) if final_norm else None
        self._initialize()

    def _initialize(self) -> None:
        initialize_tokens(self)
        for tokens in (self.cls_token, self.reg_token, self.pos_embed):
            if tokens is not None:
                nn.init.trunc_normal_(tokens, std=0.02)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the maps of the tapped blocks, first to last: (B, C, h, w) each."""
        return self.transform(self.patch_embed(pad_to_patches(images)))

    def fit_positions(self, positions: torch.Tensor) -> torch.Tensor:
        """Resize position embeddings of a square image, with or without class token, to this network's."""
        grid = isqrt(positions.shape[1])
        first, patches = positions[:, : positions.shape[1] - grid**2], positions[:, -(grid**2) :]
        side = isqrt(self.pos_embed.shape[1])
        wanted = self.pos_embed.shape[1] - side**2
        if first.shape[1] < wanted:
            first = torch.zeros_like(positions[:, :wanted])
        resized = _resize_positions(patches, (grid, grid), (side, side), self._interpolation)
        return torch.cat([first[:, :wanted], resized.flatten(1, 2)], dim=1)

    def extra_parameters(self) -> set[str]:
        """Return the parameters that a plain ViT lacks; they have (almost) no effect at first."""
        added = (LayerScale, _RelativePositions)
        return {
            f"{name}.{own}"
            for name, module in self.named_modules()
            if isinstance(module, added)
            for own, _ in module.named_parameters()
        }

    def transform(self, patches: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Map the embedded patches (B, C, h, w) to the maps of the tapped blocks."""
        batch, width, *grid = patches.shape
        tokens = self.join(patches)
        maps = []
        for index, block in enumerate(self.blocks):
            relative = self.relative_positions
            tokens = block(tokens, None if relative is None else relative[index](grid))
            if index in self._taps:
                is_last = index == len(self.blocks) - 1
                tapped = self.norm(tokens) if self.norm is not None and is_last else tokens
                maps.append(tapped[:, -grid[0] * grid[1] :].transpose(1, 2).view(batch, width, *grid))
        return tuple(maps)

    def join(self, patches: torch.Tensor) -> torch.Tensor:
        """Flatten embedded patches (B, C, h, w) and prepend class token and registers: (B, N, C)."""
        tokens = patches.flatten(2).transpose(1, 2) + self._positions(patches.shape[2:])
        placed = [self.pos_embed[:, :1]] if self.class_position else []
        first = None if self.cls_token is None else sum(placed, self.cls_token)
        prefixes = [part.expand(len(tokens), -1, -1) for part in (first, self.reg_token) if part is not None]
        joined: torch.Tensor = self.dropout(torch.cat([*prefixes, tokens], dim=1))
        return joined

    def _positions(self, grid: Sequence[int]) -> torch.Tensor:
        """Return the position embeddings of a grid of (h, w) patches: (1, N, C)."""
        side = isqrt(self.pos_embed.shape[1])
        patches = self.pos_embed[:, -(side**2) :]
        return _resize_positions(patches, (side, side), grid, self._interpolation).flatten(1, 2)


def _build_blocks(
    shape: ViTShape, count: int, *, layer_scale: float | None, dropout: float, drop_path: float
) -> nn.ModuleList:
    """Build the first `count` transformer blocks; the arguments are those of `ViT`."""
    return nn.ModuleList(
        TransformerBlock(
            shape.width,
            num_heads=shape.num_heads,
            hidden=EXPANSION * shape.width,
            layer_scale=shape.layer_scale if layer_scale is None else layer_scale,
            dropout=dropout,
            drop_path=rate,
        )
        for rate in drop_path_rates(drop_path, shape.num_blocks)[:count]
    )


class _PatchEmbedding(nn.Module):
    def __init__(self, in_channels: int, width: int, *, bias: bool) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, width, PATCH, stride=PATCH, bias=bias)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map (B, C, H, W) to (B, width, h, w)."""
        embedded: torch.Tensor = self.proj(images)
        return embedded


class _RelativePositions(nn.Module):
    """Relative position bias: one for each offset between patches, and three for the class token.

    Paper: BEiT: BERT Pre-Training of Image Transformers (Bao et al., ICLR 2022),
    https://arxiv.org/abs/2106.08254.
    """

    def __init__(self, side: int, num_heads: int, interpolation: Interpolation) -> None:
        super().__init__()
        self._reach = 2 * side - 1
        self._interpolation = interpolation
        self.table = nn.Parameter(torch.zeros(self._reach**2 + 3, num_heads))

    def forward(self, grid: Sequence[int]) -> torch.Tensor:
        """Return the bias of all pairs in a grid of (h, w) patches and a class token: (heads, N, N)."""
        height, width = grid
        ways = _resize_positions(
            self.table[None, :-3], (self._reach,) * 2, (2 * height - 1, 2 * width - 1), self._interpolation
        )[0]
        down, right = (torch.arange(size, device=ways.device) for size in grid)
        down, right = (way[:, None] - way + len(way) - 1 for way in (down, right))  # (h, h) and (w, w)
        patches = ways[down[:, None, :, None], right[None, :, None, :]]  # (h, w, h, w, heads)
        patches = patches.view(height * width, height * width, -1)
        to_patches, to_class, itself = self.table[-3:, None, None].unbind(0)
        rows = torch.cat([to_class.expand(height * width, -1, -1), patches], dim=1)
        first = torch.cat([itself, to_patches.expand(-1, height * width, -1)], dim=1)
        return torch.cat([first, rows]).permute(2, 0, 1)


def pad_to_patches(images: torch.Tensor) -> torch.Tensor:
    """Pad with zeros at the bottom and right to whole patches."""
    height, width = images.shape[2:]
    return F.pad(images, (0, -width % PATCH, 0, -height % PATCH))


def _resize_positions(
    positions: torch.Tensor, have: Sequence[int], want: Sequence[int], interpolation: Interpolation
) -> torch.Tensor:
    """Map (1, h * w, C) to (1, h', w', C)."""
    if tuple(have) == tuple(want):
        return positions.reshape(1, *want, -1)
    grid = positions.reshape(1, *have, -1).permute(0, 3, 1, 2)
    resized = F.interpolate(grid, size=tuple(want), mode=interpolation, align_corners=False)
    return resized.permute(0, 2, 3, 1)
