"""BiSeNet V2: a wide shallow branch for detail and a narrow deep one for semantics, each guiding the other.

Paper: BiSeNet V2: Bilateral Network with Guided Aggregation for Real-time Semantic Segmentation (Yu et al.,
IJCV 2021), https://arxiv.org/abs/2004.02147. The authors published no code; reference implementations are
https://github.com/CoinCheung/BiSeNet (MIT licence) and mmsegmentation (Apache-2.0 licence).

What differs, and why: the two references differ in their auxiliary heads ("boosters"), in how the guidance is
upsampled and in two biases; `LAYOUTS` holds both, so the weights of either load. `auxiliary=False` omits the
boosters.

Shape legend: B batch, C channels, K classes, H and W the input's height and width, h and w a map's.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from limner.core.config import Config
from limner.core.outputs import AuxiliaryLogits, DenseLogits
from limner.layers.convolution import ConvNormAct
from limner.layers.fcn_head import FCNHead, PixelClassifier
from limner.layers.initialization import initialize
from limner.layers.norm import build_norm
from limner.networks.entry import NetworkEntry

Width = Annotated[int, Field(gt=0)]


@dataclass(frozen=True)
class Layout:
    """Layout of a reference implementation.

    Attributes:
        guidance: How the guided maps are upsampled.
        pointwise_bias: Whether the guidance's 1x1 convolutions without normalisation have a bias.
        upsamples_boosters: Whether the boosters double their resolution between two convolutions.
    """

    guidance: Literal["nearest", "bilinear"]
    pointwise_bias: bool
    upsamples_boosters: bool


LayoutName = Literal["coincheung", "mmsegmentation"]
LAYOUTS: dict[LayoutName, Layout] = {
    # CoinCheung/BiSeNet, lib/models/bisenetv2.py
    "coincheung": Layout(guidance="nearest", pointwise_bias=False, upsamples_boosters=True),
    # mmseg/models/backbones/bisenetv2.py and configs/_base_/models/bisenetv2.py
    "mmsegmentation": Layout(guidance="bilinear", pointwise_bias=True, upsamples_boosters=False),
}


class BiSeNetV2Options(Config):
    """Options of `BiSeNetV2`."""

    detail_widths: tuple[Width, Width] = (64, 64)
    """Channels of the detail branch at strides 2 and 4; at 8 it is as wide as the last semantic stage."""
    semantic_widths: tuple[Annotated[int, Field(ge=2)], Width, Width, Width] = (16, 32, 64, 128)
    """Channels of the semantic branch at strides 4, 8, 16 and 32."""
    expansion: Width = 6
    """Expansion ratio of its blocks."""
    blocks: tuple[Width, Width, Width] = (2, 2, 4)
    """Number of its blocks at strides 8, 16 and 32."""
    head_channels: Width = 1024
    """Channels before the classifier."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Channel dropout rate before the classifiers."""
    auxiliary: bool = True
    """Train an auxiliary head ("booster") at each stride of the semantic branch."""
    booster_channels: tuple[Width, Width, Width, Width] = (16, 64, 256, 1024)
    """Channels before their classifiers."""
    layout: LayoutName = "coincheung"
    """Reference implementation to follow."""


class BiSeNetV2(nn.Module):
    """Detail branch, semantic branch, guided aggregation at stride 8."""

    def __init__(self, options: BiSeNetV2Options, *, num_classes: int, in_channels: int = 3) -> None:
        super().__init__()
        layout = LAYOUTS[options.layout]
        widths = options.semantic_widths
        deep = widths[-1]
        self.detail = _detail_branch((in_channels, *options.detail_widths, deep))
        self.stem = _Stem(in_channels, widths[0])
        self.stages = nn.ModuleList(
            nn.Sequential(
                _GatherExpand(narrow, wide, expansion=options.expansion, stride=2),
                *(_GatherExpand(wide, wide, expansion=options.expansion) for _ in range(depth - 1)),
            )
            for (narrow, wide), depth in zip(pairwise(widths), options.blocks, strict=True)
        )
        self.context = _ContextEmbedding(deep)
        self.aggregation = _GuidedAggregation(deep, layout=layout)
        self.head = FCNHead(deep, options.head_channels, num_classes=num_classes, dropout=options.dropout)
        self.boosters = nn.ModuleList(
            _booster(width, channels, num_classes=num_classes, dropout=options.dropout, layout=layout)
            for width, channels in zip(widths, options.booster_channels, strict=True)
            if options.auxiliary
        )
        initialize(self)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H / 8, W / 8)."""
        semantic = [self.stem(images)]
        for stage in self.stages:
            semantic.append(stage(semantic[-1]))
        logits = self.head(self.aggregation(self.detail(images), self.context(semantic[-1])))
        if not self.training:
            return DenseLogits(logits)
        sides = zip(self.boosters, semantic, strict=False)
        return DenseLogits(logits, tuple(AuxiliaryLogits(booster(side), 1.0) for booster, side in sides))


def _detail_branch(widths: tuple[int, ...]) -> nn.Sequential:
    branch = nn.Sequential()
    for index, (narrow, wide) in enumerate(pairwise(widths)):
        branch.append(ConvNormAct(narrow, wide, stride=2))
        for _ in range(2 if index else 1):
            branch.append(ConvNormAct(wide, wide))
    return branch


class _Stem(nn.Module):
    """Downsample to stride 4: a convolution, then a second one and pooling in parallel."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.first = ConvNormAct(in_channels, width, stride=2)
        self.convs = nn.Sequential(
            ConvNormAct(width, width // 2, 1), ConvNormAct(width // 2, width, stride=2)
        )
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.fuse = ConvNormAct(2 * width, width)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map (B, C, H, W) to (B, width, H / 4, W / 4)."""
        half = self.first(images)
        fused: torch.Tensor = self.fuse(torch.cat((self.convs(half), self.pool(half)), dim=1))
        return fused


class _GatherExpand(nn.Module):
    """Gather-and-expansion block: 3x3 convolution, depthwise expansion, projection, shortcut."""

    def __init__(self, in_channels: int, out_channels: int, *, expansion: int, stride: int = 1) -> None:
        super().__init__()
        wide = in_channels * expansion
        self.gather = ConvNormAct(in_channels, in_channels)
        self.expand = nn.Sequential()
        if stride == 2:
            self.expand.append(
                ConvNormAct(in_channels, wide, stride=2, groups=in_channels, activation="none")
            )
        self.expand.append(
            ConvNormAct(
                wide if stride == 2 else in_channels, wide, groups=wide if stride == 2 else in_channels
            )
        )
        self.project = ConvNormAct(wide, out_channels, 1, activation="none")
        self.shortcut: nn.Module = nn.Identity()
        if stride == 2:
            self.shortcut = nn.Sequential(
                ConvNormAct(in_channels, in_channels, stride=2, groups=in_channels, activation="none"),
                ConvNormAct(in_channels, out_channels, 1, activation="none"),
            )
        self.act = nn.ReLU(inplace=True)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to (B, D, h / stride, w / stride)."""
        out = self.project(self.expand(self.gather(features)))
        out += self.shortcut(features)
        result: torch.Tensor = self.act(out)
        return result


class _ContextEmbedding(nn.Module):
    """Add an embedding of the global mean to every pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = build_norm("batch", channels)
        self.embed = ConvNormAct(channels, channels, 1)
        self.last = ConvNormAct(channels, channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to the same shape."""
        mean = self.embed(self.norm(features.mean(dim=(2, 3), keepdim=True)))
        out: torch.Tensor = self.last(features + mean)
        return out


class _GuidedAggregation(nn.Module):
    """Bilateral guided aggregation: each branch gates the other, once at stride 8 and once at stride 32."""

    def __init__(self, channels: int, *, layout: Layout) -> None:
        super().__init__()
        self.guidance = layout.guidance
        bias = layout.pointwise_bias
        self.detail_fine = _separable(channels, bias=bias)
        self.detail_coarse = nn.Sequential(
            ConvNormAct(channels, channels, stride=2, activation="none"),
            nn.AvgPool2d(3, stride=2, padding=1),
        )
        self.semantic_fine = ConvNormAct(channels, channels, activation="none")
        self.semantic_coarse = _separable(channels, bias=bias)
        self.fuse = ConvNormAct(channels, channels)

    def forward(self, detail: torch.Tensor, semantic: torch.Tensor) -> torch.Tensor:
        """Map (B, C, H / 8, W / 8) and (B, C, H / 32, W / 32) to the shape of the first."""
        size = detail.shape[2:]
        fine = self.detail_fine(detail) * torch.sigmoid(self._up(self.semantic_fine(semantic), size))
        coarse = self.detail_coarse(detail) * torch.sigmoid(self.semantic_coarse(semantic))
        fused: torch.Tensor = self.fuse(fine + self._up(coarse, size))
        return fused

    def _up(self, features: torch.Tensor, size: torch.Size) -> torch.Tensor:
        return F.interpolate(features, size=size, mode=self.guidance)


def _separable(channels: int, *, bias: bool) -> nn.Sequential:
    return nn.Sequential(
        ConvNormAct(channels, channels, groups=channels, activation="none"),
        nn.Conv2d(channels, channels, 1, bias=bias),
    )


def _booster(width: int, channels: int, *, num_classes: int, dropout: float, layout: Layout) -> nn.Module:
    if not layout.upsamples_boosters:
        return FCNHead(width, channels, num_classes=num_classes, num_convs=2, dropout=dropout)
    return nn.Sequential(
        ConvNormAct(width, 128),  # as in the reference
        nn.Dropout2d(dropout),
        nn.Upsample(scale_factor=2, mode="nearest"),
        ConvNormAct(128, channels),
        PixelClassifier(channels, num_classes),
    )


ENTRY = NetworkEntry(
    build=BiSeNetV2,
    options=BiSeNetV2Options,
    title="BiSeNet V2",
    paper="BiSeNet V2: Bilateral Network with Guided Aggregation for Real-time Semantic Segmentation",
    year=2020,
    family="real time",
    url="https://arxiv.org/abs/2004.02147",
    output=DenseLogits,
    code="https://github.com/CoinCheung/BiSeNet",
    licence="MIT",
    good_for="Street scenes in real time, from scratch.",
    variants={
        "": {},
        "mmsegmentation's": {"layout": "mmsegmentation"},
    },
)
