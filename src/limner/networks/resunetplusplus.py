"""ResUNet++: a residual U-Net with squeeze-and-excitation, atrous pyramids and attention in the decoder.

Paper: ResUNet++: An Advanced Architecture for Medical Image Segmentation (Jha et al., ISM 2019),
https://arxiv.org/abs/1911.07067. Authors' code: https://github.com/DebeshJha/ResUNetPlusPlus (no licence
stated; only its sizes and the order of its layers were taken).

What differs, and why: nothing for inputs whose sides are multiples of 8; for others maps are resized to the
map they are merged with.

Shape legend: B batch, C channels, K classes, *S spatial axes.
"""

from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from limner.core.config import Config
from limner.core.outputs import DenseLogits
from limner.layers.convolution import ConvNormAct
from limner.layers.dimensions import CONVOLUTION, MAX_POOL
from limner.layers.fcn_head import PixelClassifier
from limner.layers.initialization import init_classifier, initialize
from limner.layers.norm import build_norm
from limner.layers.preactivation import PreActivationUnit
from limner.networks.entry import NetworkEntry

Width = Annotated[int, Field(gt=0)]


class ResUNetPlusPlusOptions(Config):
    """Options of `ResUNetPlusPlus`."""

    widths: Annotated[tuple[Width, ...], Field(min_length=3)] = (16, 32, 64, 128, 256)
    """Channels at each resolution, finest first; the last are those of the context module at the coarsest."""
    rates: Annotated[tuple[Width, ...], Field(min_length=1)] = (1, 6, 12, 18)
    """Dilations of the context module."""
    reduction: Width = 8
    """Reduction ratio of squeeze-and-excitation."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Channel dropout rate before the classifier."""


class ResUNetPlusPlus(nn.Module):
    """Encoder of residual units, context module, decoder with attention to encoder features."""

    def __init__(
        self,
        options: ResUNetPlusPlusOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        spatial_dims: int = 2,
    ) -> None:
        super().__init__()
        *widths, deep = options.widths
        rates, dims, reduction = options.rates, spatial_dims, options.reduction
        self.stem = _Unit(in_channels, widths[0], reduction=reduction, first=True, spatial_dims=dims)
        self.encoder = nn.ModuleList(
            _Unit(narrow, wide, reduction=reduction, stride=2, spatial_dims=dims)
            for narrow, wide in pairwise(widths)
        )
        self.context = _Context(widths[-1], deep, rates=rates, spatial_dims=dims)
        self.decoder = nn.ModuleList(
            _DecoderBlock(skip, wide, out, reduction=reduction, spatial_dims=dims)
            for skip, wide, out in zip(widths[-2::-1], (deep, *widths[:1:-1]), (*widths[:0:-1],), strict=True)
        )
        self.last_context = _Context(widths[1], widths[0], rates=rates, spatial_dims=dims)
        self.head = PixelClassifier(widths[0], num_classes, dropout=options.dropout, spatial_dims=dims)
        initialize(self)
        # Its input, a projected sum of normalised maps, has this multiple of the variance of a map after
        # ReLU.
        init_classifier(self.head.conv.weight, inputs=4 * len(rates) * widths[0])

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, *S) float -> logits (B, K, *S)."""
        skips = [self.stem(images)]
        for unit in self.encoder:
            skips.append(unit(skips[-1]))  # (B, C_level, *S / 2**level)
        features = self.context(skips.pop())
        for block in self.decoder:
            features = block(features, skips.pop())
        return DenseLogits(self.head(self.last_context(features)))


class _Unit(nn.Module):
    """Residual unit with squeeze-and-excitation."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        reduction: int,
        spatial_dims: int,
        stride: int = 1,
        first: bool = False,
    ) -> None:
        super().__init__()
        self.unit = PreActivationUnit(
            in_channels, channels, stride=stride, first=first, spatial_dims=spatial_dims
        )
        narrow = max(channels // reduction, 1)
        self.squeeze = nn.Linear(channels, narrow, bias=False)
        self.excite = nn.Linear(narrow, channels, bias=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, C, *S) to (B, D, *S / stride)."""
        out: torch.Tensor = self.unit(features)
        gate = torch.sigmoid(self.excite(F.relu(self.squeeze(out.flatten(2).mean(dim=2)))))
        return out * gate.view(*gate.shape, *[1] * (out.ndim - 2))


class _Context(nn.Module):
    """Sum of parallel dilated convolutions."""

    def __init__(self, in_channels: int, channels: int, *, rates: tuple[int, ...], spatial_dims: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            ConvNormAct(
                in_channels, channels, dilation=rate, bias=True, activation="none", spatial_dims=spatial_dims
            )
            for rate in rates
        )
        self.project = CONVOLUTION[spatial_dims](channels, channels, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, C, *S) to (B, D, *S)."""
        summed = self.branches[0](features)
        for branch in self.branches[1:]:
            summed += branch(features)
        out: torch.Tensor = self.project(summed)
        return out


class _DecoderBlock(nn.Module):
    """Decoder block: attention from encoder features, upsampling, concatenation, residual unit."""

    def __init__(
        self, skip_channels: int, channels: int, out_channels: int, *, reduction: int, spatial_dims: int
    ) -> None:
        super().__init__()
        self.from_skip = _activated(skip_channels, channels, spatial_dims=spatial_dims)
        self.pool = MAX_POOL[spatial_dims](2, ceil_mode=True)
        self.from_coarse = _activated(channels, channels, spatial_dims=spatial_dims)
        self.attention = _activated(channels, channels, spatial_dims=spatial_dims)
        self.unit = _Unit(
            skip_channels + channels, out_channels, reduction=reduction, spatial_dims=spatial_dims
        )

    def forward(self, coarse: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Merge (B, C, *S / 2) with the skip connection (B, C', *S)."""
        weight = self.attention(self.pool(self.from_skip(skip)) + self.from_coarse(coarse))
        up = F.interpolate(weight * coarse, size=skip.shape[2:], mode="nearest")
        out: torch.Tensor = self.unit(torch.cat((up, skip), dim=1))
        return out


def _activated(in_channels: int, channels: int, *, spatial_dims: int) -> nn.Sequential:
    return nn.Sequential(
        build_norm("batch", in_channels, spatial_dims=spatial_dims),
        nn.ReLU(inplace=True),
        CONVOLUTION[spatial_dims](in_channels, channels, 3, padding=1),
    )


ENTRY = NetworkEntry(
    build=ResUNetPlusPlus,
    options=ResUNetPlusPlusOptions,
    title="ResUNet++",
    paper="ResUNet++: An Advanced Architecture for Medical Image Segmentation",
    year=2019,
    family="encoder-decoder",
    url="https://arxiv.org/abs/1911.07067",
    output=DenseLogits,
    spatial_dims=(2, 3),
    code="https://github.com/DebeshJha/ResUNetPlusPlus",
    licence="none stated",
    good_for="Endoscopy and other medical images with few parameters and no pretrained weights.",
)
