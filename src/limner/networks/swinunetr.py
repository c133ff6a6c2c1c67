"""Swin UNETR: a Swin Transformer on volumes whose feature maps are decoded by a residual U-Net.

Paper: Swin UNETR: Swin Transformers for Semantic Segmentation of Brain Tumors in MRI Images (Hatamizadeh et
al., BrainLes 2021), https://arxiv.org/abs/2201.01266. Reference, which is the authors':
https://github.com/Project-MONAI/MONAI (Apache-2.0 licence), `SwinUNETR`.

What differs, and why: inputs of any size are padded with zeros at their end to multiples of 32, where MONAI
refuses them; and attention is computed without storing its weights. As in MONAI, windows are no larger than
the map, and then use the first rows of the table of relative positions.

`merging` is how MONAI's versions merge 2x2x2 voxels: before 1.5 (its "merging") two of the eight were taken
twice and two not at all, which weights of that time need.

Shape legend: B batch, C channels, K classes, *S spatial axes, *s those of a stage, W windows of a map, N
voxels of a window.
"""

from collections.abc import Iterable, Sequence
from itertools import product
from math import prod
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from limner.core.config import Config
from limner.core.errors import ConfigError
from limner.core.outputs import DenseLogits
from limner.layers.anisotropic_convolution import ConvStyle
from limner.layers.dimensions import CONVOLUTION
from limner.layers.drop_path import DropPath, drop_path_rates
from limner.layers.dropout import Dropout
from limner.layers.fcn_head import PixelClassifier
from limner.layers.initialization import init_classifier, initialize, initialize_transposed
from limner.layers.norm import NormName
from limner.layers.residual_block import UpsampleAndMerge, build_block
from limner.layers.resize import cut, pad_to_multiple
from limner.layers.transformer_block import TokenMLP, initialize_tokens
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width

PATCH = 2
STAGES = 4
EXPANSION = 4
BLOCKED = -100.0  # the authors' attention mask value for a pair of voxels from different regions

Merging = Literal["all", "ordered", "repeated"]
_ALL = tuple(product((0, 1), repeat=3))
_ORDERED = ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1))
_REPEATED = (*_ORDERED[:4], (1, 0, 1), (0, 1, 0), (0, 0, 1), (1, 1, 1))
MERGED: dict[str, tuple[tuple[int, ...], ...]] = {"all": _ALL, "ordered": _ORDERED, "repeated": _REPEATED}
"""Offsets (depth, height, width) of the voxels that become the channels of a merged one, in order."""

_MERGED_2D = ((0, 0), (1, 0), (0, 1), (1, 1))


class SwinUNETROptions(Config):
    """Options of `SwinUNETR`."""

    width: Annotated[int, Field(gt=0, multiple_of=12)] = 48
    """Channels at full resolution; the paper's is 48, MONAI's default 24."""
    blocks: tuple[Width, Width, Width, Width] = (2, 2, 2, 2)
    """Number of transformer blocks of each stage."""
    num_heads: tuple[Width, Width, Width, Width] = (3, 6, 12, 24)
    """Number of attention heads of each stage."""
    window: Width | tuple[Width, ...] = 7
    """Side of the windows, or one for each axis."""
    merging: Merging = "ordered"
    """Which voxels are merged, in which order: `ordered` and `all` take each once, as MONAI's "merging" and
    "mergingv2"; `repeated` as its "merging" of old versions. In 2D all are the same."""
    qkv_bias: bool = True
    """Whether queries, keys and values have a bias."""
    patch_norm: bool = False
    """Normalise the embedded patches."""
    normalize: bool = True
    """Normalise the feature maps that the decoder receives, over channels."""
    stage_convs: bool = False
    """Convolve before each stage, as in MONAI's `use_v2`."""
    norm: NormName = "instance"
    """Normalisation of the convolutions."""
    norm_affine: bool = False
    """Whether it learns a scale and a shift."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout rate inside the blocks' MLPs and of the embedded patches."""
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Stochastic depth rate of the last block."""


class SwinUNETR(nn.Module):
    """Swin UNETR in 2D or 3D."""

    def __init__(
        self, options: SwinUNETROptions, *, num_classes: int, in_channels: int = 3, spatial_dims: int = 2
    ) -> None:
        super().__init__()
        style = ConvStyle(norm=options.norm, norm_affine=options.norm_affine)
        width = options.width
        widths = [width, *(width * 2**level for level in range(STAGES + 1))]  # at strides 1, 2, 4, ...
        self.transformer = _Swin(options, in_channels, spatial_dims)
        self.stem = build_block(in_channels, width, spatial_dims=spatial_dims, style=style, residual=True)
        # The map before the coarsest goes to the decoder as it is.
        convolved = [*widths[1:-2], widths[-1]]
        self.refine = nn.ModuleList(
            build_block(each, each, spatial_dims=spatial_dims, style=style, residual=True)
            for each in convolved
        )
        self.decoder = nn.ModuleList(
            UpsampleAndMerge(wide, narrow, spatial_dims=spatial_dims, style=style)
            for wide, narrow in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = PixelClassifier(width, num_classes, spatial_dims=spatial_dims)
        initialize(self.stem, self.refine, self.decoder, self.head, self.transformer.stage_convs)
        initialize_transposed(self)
        # Its input, a sum of two normalised maps, has twice the variance of one.
        init_classifier(self.head.conv.weight, inputs=2 * width)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, *S) float -> logits (B, K, *S)."""
        padded = pad_to_multiple(images, PATCH ** (STAGES + 1))
        *finer, coarse, coarsest = self.transformer(padded)
        skips = [self.stem(padded)]
        skips += [block(each) for block, each in zip(self.refine, finer, strict=False)]
        skips.append(coarse)
        features = self.refine[-1](coarsest)
        for stage in self.decoder:
            features = stage(features, skips.pop())
        return DenseLogits(cut(self.head(features), images.shape[2:]))


class _Swin(nn.Module):
    """Embedded patches, then stages of transformer blocks, each of which ends with a merging."""

    def __init__(self, options: SwinUNETROptions, in_channels: int, spatial_dims: int) -> None:
        super().__init__()
        width, side = options.width, options.window
        window = (side,) * spatial_dims if isinstance(side, int) else tuple(side)
        if len(window) != spatial_dims:
            raise ConfigError(
                f"swinunetr: window needs 1 number, or {spatial_dims} for the axes; found {len(window)}."
            )
        self._normalizes = options.normalize
        self.patches = CONVOLUTION[spatial_dims](in_channels, width, PATCH, stride=PATCH)
        self.norm = nn.LayerNorm(width) if options.patch_norm else nn.Identity()
        self.dropout = Dropout(options.dropout)
        widths = [width * 2**level for level in range(STAGES)]
        style = ConvStyle(norm="instance", norm_affine=False)
        self.stage_convs = nn.ModuleList(
            build_block(each, each, spatial_dims=spatial_dims, style=style, residual=True)
            for each in widths
            if options.stage_convs
        )
        rates = iter(drop_path_rates(options.drop_path, sum(options.blocks)))
        self.stages = nn.ModuleList(
            _Stage(each, [next(rates) for _ in range(count)], heads, window, options)
            for each, count, heads in zip(widths, options.blocks, options.num_heads, strict=True)
        )
        initialize_tokens(self.stages)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Map (B, C, *S) to five maps at strides 2, 4, 8, 16 and 32, channels first."""
        features = self.dropout(_move_channels_last(self.patches(images)))
        features = self.norm(features)
        maps = [features]
        for index, stage in enumerate(self.stages):
            if len(self.stage_convs):
                convolved = self.stage_convs[index](_move_channels_first(features))
                features = _move_channels_last(convolved)
            features = stage(features)
            maps.append(features)
        if self._normalizes:
            maps = [F.layer_norm(each, each.shape[-1:]) for each in maps]
        return [_move_channels_first(each) for each in maps]


class _Stage(nn.Module):
    """Blocks with alternating regular and shifted windows, then a merging of neighbours."""

    def __init__(
        self,
        width: int,
        rates: Iterable[float],
        num_heads: int,
        window: tuple[int, ...],
        options: SwinUNETROptions,
    ) -> None:
        super().__init__()
        if width % num_heads:
            raise ConfigError(
                f"swinunetr: the channels of a stage must be divisible by its num_heads; found {width} "
                f"and {num_heads}."
            )
        self.blocks = nn.ModuleList(
            _Block(width, num_heads, window, moves=index % 2 == 1, drop_path=rate, options=options)
            for index, rate in enumerate(rates)
        )
        self.merge = _Merging(width, MERGED[options.merging] if len(window) == 3 else _MERGED_2D)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, *s, C) to (B, *s / 2, 2 C)."""
        for block in self.blocks:
            features = block(features)
        merged: torch.Tensor = self.merge(features)
        return merged


class _Merging(nn.Module):
    """Merge neighbouring voxels into one with twice the channels."""

    def __init__(self, width: int, offsets: Sequence[tuple[int, ...]]) -> None:
        super().__init__()
        self._offsets = offsets
        self.norm = nn.LayerNorm(len(offsets) * width)
        self.reduction = nn.Linear(len(offsets) * width, 2 * width, bias=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, *s, C) with even *s to (B, *s / 2, 2 C)."""
        places = [(slice(None), *(slice(at, None, 2) for at in offset)) for offset in self._offsets]
        parts = torch.cat([features[place] for place in places], dim=-1)
        merged: torch.Tensor = self.reduction(self.norm(parts))
        return merged


class _Block(nn.Module):
    def __init__(
        self,
        width: int,
        num_heads: int,
        window: tuple[int, ...],
        *,
        moves: bool,
        drop_path: float,
        options: SwinUNETROptions,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = _WindowAttention(width, num_heads, window, moves=moves, qkv_bias=options.qkv_bias)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = TokenMLP(width, EXPANSION * width, dropout=options.dropout)
        self.drop_path = DropPath(drop_path)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, *s, C) to (B, *s, C)."""
        features = features + self.drop_path(self.attn(self.norm1(features)))
        out: torch.Tensor = features + self.drop_path(self.mlp(self.norm2(features)))
        return out


class _WindowAttention(nn.Module):
    """Self-attention inside windows, with a learned bias for each relative position."""

    index: torch.Tensor

    def __init__(
        self, width: int, num_heads: int, window: tuple[int, ...], *, moves: bool, qkv_bias: bool
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.window = window
        self.moves = moves
        self.qkv = nn.Linear(width, 3 * width, bias=qkv_bias)
        self.proj = nn.Linear(width, width)
        rows = prod(2 * side - 1 for side in window)
        self.relative_position_bias_table = nn.Parameter(torch.zeros(rows, num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer("index", _offset_index(window), persistent=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, *s, C) to (B, *s, C)."""
        size = features.shape[1:-1]
        dims = len(size)
        window = [min(side, length) for side, length in zip(self.window, size, strict=True)]
        shift = [
            side // 2 if self.moves and length > side else 0
            for side, length in zip(self.window, size, strict=True)
        ]
        padding = [-length % side for length, side in zip(size, window, strict=True)]
        features = F.pad(features, [0, 0, *(n for lack in reversed(padding) for n in (0, lack))])
        axes = tuple(range(1, dims + 1))
        if any(shift):
            features = features.roll([-step for step in shift], axes)
        counts = [length // side for length, side in zip(features.shape[1:-1], window, strict=True)]
        mixed = self._attend(_partition(features, counts, window), self._scores(counts, window, shift))
        features = _join(mixed, counts, window)
        if any(shift):
            features = features.roll(shift, axes)
        return _cut_channels_last(features, size)

    def _attend(self, windows: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Map (B, W, N, C) to (B, W, N, C); the scores (1 or W, heads, N, N) are added to the attention's."""
        batch, count, area, channels = windows.shape
        parts = self.qkv(windows).view(batch, count, area, 3, self.num_heads, channels // self.num_heads)
        # Windows and heads share an axis, so that the scores need not be repeated for each image.
        query, key, value = parts.permute(3, 0, 1, 4, 2, 5).flatten(2, 3).unbind(0)
        added = scores.expand(count, -1, -1, -1).flatten(0, 1)[None].to(query.dtype)
        mixed = F.scaled_dot_product_attention(query, key, value, added)
        mixed = mixed.view(batch, count, self.num_heads, area, -1).transpose(2, 3).reshape(windows.shape)
        out: torch.Tensor = self.proj(mixed)
        return out

    def _scores(self, counts: Sequence[int], window: Sequence[int], shift: Sequence[int]) -> torch.Tensor:
        """Return the relative position bias and the mask: (1 or W, heads, N, N)."""
        area = prod(window)
        bias = self.relative_position_bias_table[self.index[:area, :area]].permute(2, 0, 1)[None]
        if not any(shift):
            return bias
        regions = self._regions(counts, window, shift)  # (W, N)
        apart = regions[:, None, :] != regions[:, :, None]
        return bias + BLOCKED * apart[:, None]

    def _regions(self, counts: Sequence[int], window: Sequence[int], shift: Sequence[int]) -> torch.Tensor:
        """Return the region of each voxel in shifted windows: only voxels of one region were neighbours."""
        grid = torch.zeros([1] * len(counts), dtype=torch.long, device=self.index.device)
        for axis, (count, side, step) in enumerate(zip(counts, window, shift, strict=True)):
            place = torch.arange(count * side, device=grid.device)
            # Only the last window of a shifted axis mixes regions, through the cyclic shift.
            numbers = (place >= (count - 1) * side).long() + (place >= count * side - step) * (step > 0)
            grid = grid * 3 + numbers.view([-1 if each == axis else 1 for each in range(len(counts))])
        return _partition(grid[None, ..., None], counts, window)[0, ..., 0]


def _partition(features: torch.Tensor, counts: Sequence[int], window: Sequence[int]) -> torch.Tensor:
    """Map (B, *s, C) to windows (B, W, N, C)."""
    batch, channels = features.shape[0], features.shape[-1]
    split = [n for pair in zip(counts, window, strict=True) for n in pair]
    dims = len(counts)
    order = (0, *range(1, 2 * dims, 2), *range(2, 2 * dims + 1, 2), 2 * dims + 1)
    parts = features.reshape(batch, *split, channels).permute(order)
    return parts.reshape(batch, prod(counts), prod(window), channels)


def _join(windows: torch.Tensor, counts: Sequence[int], window: Sequence[int]) -> torch.Tensor:
    """Map windows (B, W, N, C) to (B, *s, C); the inverse of `_partition`."""
    batch, channels = windows.shape[0], windows.shape[-1]
    dims = len(counts)
    order = (0, *(n for axis in range(dims) for n in (1 + axis, 1 + dims + axis)), 2 * dims + 1)
    parts = windows.reshape(batch, *counts, *window, channels).permute(order)
    sizes = [count * side for count, side in zip(counts, window, strict=True)]
    return parts.reshape(batch, *sizes, channels)


def _offset_index(window: Sequence[int]) -> torch.Tensor:
    """Return the row of the bias table for each pair of voxels in a window: (N, N)."""
    area = prod(window)
    index = torch.zeros(area, area, dtype=torch.long)
    places = torch.meshgrid(*(torch.arange(side) for side in window), indexing="ij")
    for side, place in zip(window, places, strict=True):
        flat = place.flatten()
        index = index * (2 * side - 1) + flat[:, None] - flat + side - 1
    return index


def _move_channels_last(features: torch.Tensor) -> torch.Tensor:
    return features.movedim(1, -1)


def _move_channels_first(features: torch.Tensor) -> torch.Tensor:
    return features.movedim(-1, 1)


def _cut_channels_last(features: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    for axis, length in enumerate(size, start=1):
        features = features.narrow(axis, 0, length)
    return features


ENTRY = NetworkEntry(
    build=SwinUNETR,
    options=SwinUNETROptions,
    title="Swin UNETR",
    paper="Swin UNETR: Swin Transformers for Semantic Segmentation of Brain Tumors in MRI Images",
    year=2022,
    family="medical",
    url="https://arxiv.org/abs/2201.01266",
    output=DenseLogits,
    spatial_dims=(3, 2),
    code="https://github.com/Project-MONAI/MONAI",
    licence="Apache-2.0",
    good_for="Tumours and organs in MR and CT with many cases or imported weights; needs much memory.",
    variants={"": {}, "half width": {"width": 24}},
)
