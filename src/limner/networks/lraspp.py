"""LR-ASPP: MobileNetV3 with a head of 1x1 convolutions.

Paper: Searching for MobileNetV3 (Howard et al., ICCV 2019), https://arxiv.org/abs/1905.02244, section 6.4.
Two heads are published under this name: that of torchvision's lraspp_mobilenet_v3_large (BSD-3-Clause
licence) scores maps of stride 16 and 8, that of mmsegmentation (Apache-2.0) joins maps of stride 8, 4 and 2.

What differs, and why: the gate of torchvision is the mean over the whole map, where the paper pools over
windows of 49 pixels with stride 16, which are tied to one size of images. mmsegmentation has such windows,
with a horizontal stride of 20; on a smaller map, which it refuses, they are as large as the map.

Shape legend: B batch, C channels, K classes, H and W the image's height and width, h and w a map's.
"""

from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from limner.core.config import Config
from limner.core.outputs import DenseLogits
from limner.layers.convolution import ConvNormAct
from limner.layers.fcn_head import PixelClassifier
from limner.layers.initialization import initialize
from limner.layers.resize import resize
from limner.networks.backbones import OutputStride, Pretrained, build_backbone
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width

WINDOW, WINDOW_STEPS = 49, (16, 20)
"""Side of mmsegmentation's pooling windows, and their steps down and to the right, in pixels of the map."""

FINE_STRIDES = (2, 4)
"""Strides of the maps that mmsegmentation's head joins."""


class LRASPPOptions(Config):
    """Options of `LRASPP` and `JoinedLRASPP`."""

    backbone: str = "mobilenet_v3_large"
    """`mobilenet_v3_large`, any of limner's ResNets, or a timm model with a feature map at stride 8; for
    mmsegmentation's head `tf_mobilenet_v3_large` or `_small`, or any with maps at strides 2 and 4."""
    output_stride: OutputStride = 16
    """Output stride of the backbone; 8 for mmsegmentation's head."""
    layout: Literal["torchvision", "mmsegmentation"] = "torchvision"
    """Which published head to follow."""
    channels: Width = 128
    """Channels of the projected coarse map."""
    fine_channels: tuple[Width, Width] = (32, 64)
    """Channels of the projected maps of strides 2 and 4 in mmsegmentation's head."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Channel dropout rate before the classifiers."""


class LRASPP(nn.Module):
    """Backbone, gated coarse map, a classifier on it and one on the map of stride 8."""

    def __init__(
        self,
        options: LRASPPOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        super().__init__()
        self.backbone = build_backbone(
            options.backbone,
            in_channels=in_channels,
            output_stride=options.output_stride,
            pretrained=pretrained,
        )
        self._fine = self.backbone.strides.index(8)
        fine, deep = self.backbone.channels[self._fine], self.backbone.channels[-1]
        self.context = ConvNormAct(deep, options.channels, 1)
        self.gate = nn.Conv2d(deep, options.channels, 1, bias=False)
        self.fine_head = PixelClassifier(fine, num_classes, dropout=options.dropout)
        self.head = PixelClassifier(options.channels, num_classes, dropout=options.dropout)
        initialize(self.context, self.gate, self.fine_head, self.head)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H / 8, W / 8)."""
        maps = self.backbone(images)
        fine, deep = maps[self._fine], maps[-1]
        gate = self.gate(deep.mean(dim=(2, 3), keepdim=True)).sigmoid()
        context = resize(self.context(deep) * gate, fine.shape[2:])
        return DenseLogits(self.fine_head(fine) + self.head(context))


class JoinedLRASPP(nn.Module):
    """Backbone, gated coarse map, joined with the maps of strides 4 and 2, and a classifier."""

    def __init__(
        self,
        options: LRASPPOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        super().__init__()
        self.backbone = build_backbone(
            options.backbone,
            in_channels=in_channels,
            output_stride=options.output_stride,
            pretrained=pretrained,
        )
        self._fine = tuple(self.backbone.strides.index(stride) for stride in FINE_STRIDES)
        deep, channels = self.backbone.channels[-1], options.channels
        self.context = ConvNormAct(deep, channels, 1)
        self.gate = nn.Conv2d(deep, channels, 1, bias=False)
        self.mix = nn.Conv2d(channels, channels, 1)
        self.fine = nn.ModuleList(
            nn.Conv2d(self.backbone.channels[index], width, 1, bias=False)
            for index, width in zip(self._fine, options.fine_channels, strict=True)
        )
        self.joined = nn.ModuleList(
            ConvNormAct(channels + width, channels, 1) for width in options.fine_channels
        )
        self.head = PixelClassifier(channels, num_classes, dropout=options.dropout)
        initialize(self.context, self.gate, self.mix, self.fine, self.joined, self.head)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H / 2, W / 2)."""
        maps = self.backbone(images)
        deep = maps[-1]
        gate = self.gate(_window_means(deep)).sigmoid()
        x = self.mix(self.context(deep) * resize(gate, deep.shape[2:]))
        for index, fine, joined in reversed(list(zip(self._fine, self.fine, self.joined, strict=True))):
            level = maps[index]
            x = joined(torch.cat((resize(x, level.shape[2:]), fine(level)), dim=1))
        return DenseLogits(self.head(x))


def _window_means(deep: torch.Tensor) -> torch.Tensor:
    """Return the means (B, C, h', w') of the windows of a map (B, C, h, w)."""
    height, width = deep.shape[2:]
    return F.avg_pool2d(deep, (min(WINDOW, height), min(WINDOW, width)), WINDOW_STEPS)


def _build(options: LRASPPOptions, **arguments: Any) -> nn.Module:
    network = LRASPP if options.layout == "torchvision" else JoinedLRASPP
    return network(options, **arguments)


ENTRY = NetworkEntry(
    build=_build,
    options=LRASPPOptions,
    title="LR-ASPP",
    paper="Searching for MobileNetV3",
    year=2019,
    family="real time",
    url="https://arxiv.org/abs/1905.02244",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/pytorch/vision",
    licence="BSD-3-Clause",
    good_for="Phones and other small devices: three million parameters.",
    variants={
        "mobilenet_v3_large": {},
        "resnet18": {"backbone": "resnet18"},
        "tf_mobilenet_v3_small, as in mmsegmentation": {
            "backbone": "tf_mobilenet_v3_small",
            "output_stride": 8,
            "layout": "mmsegmentation",
        },
    },
)
