"""UNETR: a Vision Transformer on patches of a volume, whose tokens are decoded by a U-Net.

Paper: UNETR: Transformers for 3D Medical Image Segmentation (Hatamizadeh et al., WACV 2022),
https://arxiv.org/abs/2103.10504. Reference: https://github.com/Project-MONAI/MONAI (Apache-2.0 licence),
`UNETR`.

What differs, and why: the position embeddings are interpolated, and inputs are padded with zeros at their end
to whole patches, so any input size works.

Shape legend: B batch, C channels, K classes, N tokens, *S spatial axes, *s the grid of patches.
"""

from collections.abc import Sequence
from math import prod
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from limner.core.config import Config
from limner.core.errors import ConfigError
from limner.core.outputs import DenseLogits
from limner.layers.anisotropic_convolution import ConvStyle
from limner.layers.dimensions import CONVOLUTION, TRANSPOSED_CONVOLUTION
from limner.layers.dropout import Dropout
from limner.layers.fcn_head import PixelClassifier
from limner.layers.initialization import init_classifier, initialize, initialize_transposed
from limner.layers.norm import NormName
from limner.layers.residual_block import UpsampleAndMerge, build_block
from limner.layers.resize import cut, pad_to_multiple, resize
from limner.layers.transformer_block import TransformerBlock, initialize_tokens
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width

PATCH = 16
LEVELS = 4
"""Number of doublings from a patch to a voxel."""

ImageSize = Annotated[int, Field(ge=PATCH)]


class UNETROptions(Config):
    """Options of `UNETR`."""

    image_size: ImageSize | tuple[ImageSize, ...] = 96
    """Side of the inputs, or one for each axis, that the position embeddings are learned for; they are
    interpolated for others."""
    width: Width = 16
    """Channels at full resolution; each coarser stage doubles them."""
    hidden: Width = 768
    """Channels of the tokens."""
    num_blocks: Annotated[int, Field(ge=LEVELS)] = 12
    """Number of transformer blocks."""
    num_heads: Width = 12
    """Number of attention heads."""
    mlp_hidden: Width = 3072
    """Hidden channels of the blocks' MLPs."""
    qkv_bias: bool = False
    """Whether queries, keys and values have a bias."""
    norm: NormName = "instance"
    """Normalisation of the convolutions."""
    norm_affine: bool = False
    """Whether it learns a scale and a shift."""
    residual: bool = True
    """Whether convolutions are in residual blocks."""
    tower_convs: bool = True
    """Whether tokens are convolved between the doublings of their resolution."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout rate inside the transformer."""


class UNETR(nn.Module):
    """UNETR in 2D or 3D."""

    def __init__(
        self, options: UNETROptions, *, num_classes: int, in_channels: int = 3, spatial_dims: int = 2
    ) -> None:
        super().__init__()
        if options.hidden % options.num_heads:
            raise ConfigError(
                f"unetr: hidden must be divisible by num_heads; found {options.hidden}, {options.num_heads}."
            )
        style = ConvStyle(norm=options.norm, norm_affine=options.norm_affine)
        widths = [options.width * 2**level for level in range(LEVELS)]
        self._taps = tuple(options.num_blocks * quarter // LEVELS for quarter in range(1, LEVELS))
        self.transformer = _Transformer(options, in_channels, spatial_dims)
        self.stem = build_block(
            in_channels, widths[0], spatial_dims=spatial_dims, style=style, residual=options.residual
        )
        self.towers = nn.ModuleList(
            _build_tower(options, width, LEVELS - level, spatial_dims, style)
            for level, width in enumerate(widths[1:], start=1)
        )
        self.decoder = nn.ModuleList(
            UpsampleAndMerge(wide, narrow, spatial_dims=spatial_dims, style=style, residual=options.residual)
            for wide, narrow in zip((options.hidden, *widths[:0:-1]), reversed(widths), strict=True)
        )
        self.head = PixelClassifier(widths[0], num_classes, spatial_dims=spatial_dims)
        initialize(self.stem, self.towers, self.decoder, self.head)
        initialize_transposed(self)
        # Its input, a sum of two normalised maps, has twice the variance of one.
        init_classifier(self.head.conv.weight, inputs=2 * widths[0])

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, *S) float -> logits (B, K, *S)."""
        padded = pad_to_multiple(images, PATCH)
        maps = self.transformer(padded, self._taps)  # those of the taps, then the last; (B, hidden, *S / 16)
        skips = [self.stem(padded)]
        skips += [tower(tapped) for tower, tapped in zip(self.towers, maps, strict=False)]
        features = maps[-1]
        for stage in self.decoder:
            features = stage(features, skips.pop())
        return DenseLogits(cut(self.head(features), images.shape[2:]))


class _Transformer(nn.Module):
    """Patches as tokens, with learned positions, in transformer blocks."""

    def __init__(self, options: UNETROptions, in_channels: int, spatial_dims: int) -> None:
        super().__init__()
        sides = options.image_size
        sizes = (sides,) * spatial_dims if isinstance(sides, int) else tuple(sides)
        if len(sizes) != spatial_dims:
            raise ConfigError(
                f"unetr: image_size needs 1 number, or {spatial_dims} for the axes; found {len(sizes)}."
            )
        self._grid = tuple(size // PATCH for size in sizes)
        width = options.hidden
        self.patches = CONVOLUTION[spatial_dims](in_channels, width, PATCH, stride=PATCH)
        self.positions = nn.Parameter(torch.empty(1, prod(self._grid), width))
        self.dropout = Dropout(options.dropout)
        self.blocks = nn.ModuleList(
            TransformerBlock(
                width,
                num_heads=options.num_heads,
                hidden=options.mlp_hidden,
                epsilon=1e-5,
                qkv_bias=options.qkv_bias,
                dropout=options.dropout,
            )
            for _ in range(options.num_blocks)
        )
        self.norm = nn.LayerNorm(width)
        initialize_tokens(self)
        nn.init.trunc_normal_(self.positions, std=0.02)

    def forward(self, images: torch.Tensor, taps: Sequence[int]) -> list[torch.Tensor]:
        """Map (B, C, *S) to the tokens after the blocks `taps` and after the last, (B, hidden, *s) each."""
        patches = self.patches(images)
        grid = patches.shape[2:]
        tokens = self.dropout((patches + self._positions(grid)).flatten(2).transpose(1, 2))  # (B, N, hidden)
        maps = []
        for index, block in enumerate(self.blocks):
            tokens = block(tokens)
            if index in taps:
                maps.append(tokens)
        maps.append(self.norm(tokens))
        return [_as_map(each, grid) for each in maps]

    def _positions(self, grid: Sequence[int]) -> torch.Tensor:
        """Return the position embeddings of a grid of patches: (1, hidden, *s)."""
        return resize(_as_map(self.positions, self._grid), grid)


def _as_map(tokens: torch.Tensor, grid: Sequence[int]) -> torch.Tensor:
    """Map tokens (B, N, C) to (B, C, *s)."""
    return tokens.transpose(1, 2).reshape(tokens.shape[0], tokens.shape[2], *grid)


def _build_tower(
    options: UNETROptions, width: int, doublings: int, spatial_dims: int, style: ConvStyle
) -> nn.Sequential:
    """Build the layers that raise the resolution of tokens `doublings` times."""
    layers: list[nn.Module] = []
    for index in range(doublings):
        inputs = width if index else options.hidden
        layers.append(TRANSPOSED_CONVOLUTION[spatial_dims](inputs, width, 2, stride=2, bias=False))
        if index and options.tower_convs:
            layers.append(
                build_block(width, width, spatial_dims=spatial_dims, style=style, residual=options.residual)
            )
    return nn.Sequential(*layers)


ENTRY = NetworkEntry(
    build=UNETR,
    options=UNETROptions,
    title="UNETR",
    paper="UNETR: Transformers for 3D Medical Image Segmentation",
    year=2022,
    family="medical",
    url="https://arxiv.org/abs/2103.10504",
    output=DenseLogits,
    spatial_dims=(3, 2),
    code="https://github.com/Project-MONAI/MONAI",
    licence="Apache-2.0",
    good_for="Organs identified by their position in the body, with hundreds of cases or imported weights.",
    remark="MONAI's count includes layer normalisations of a cross-attention that nothing uses.",
    variants={"": {}, "128": {"image_size": 128}},
)
