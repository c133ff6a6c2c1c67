"""LR-ASPP: MobileNetV3 with a head of 1x1 convolutions.

Paper: Searching for MobileNetV3 (Howard et al., ICCV 2019), https://arxiv.org/abs/1905.02244, section 6.4.
Two heads are published under this name: that of torchvision's lraspp_mobilenet_v3_large (BSD-3-Clause
licence) scores maps of stride 16 and 8, that of mmsegmentation (Apache-2.0) joins maps of stride 8, 4 and 2.

What differs, and why: the gate of torchvision is the mean over the whole map, where the paper pools over
windows of 49 pixels with stride 16, which are tied to one size of images. mmsegmentation has such windows,
with a horizontal stride of 20; on a smaller map, which it refuses, they are as large as the map.

Shape legend: B batch, C channels, K classes, H and W the image's height and width, h and w a map's.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

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
    """Options of `LRASPP`."""

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
    """Backbone, gated coarse map, a classifier on it, and one on the map of stride 8 or a `FineFusion`."""

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
        channels, strides = self.backbone.channels, self.backbone.strides
        self.context = ConvNormAct(channels[-1], options.channels, 1)
        self.gate = nn.Conv2d(channels[-1], options.channels, 1, bias=False)
        self.head = PixelClassifier(options.channels, num_classes, dropout=options.dropout)
        self.fine_head: PixelClassifier | None = None
        self.fusion: FineFusion | None = None
        if options.layout == "torchvision":
            self._fine: tuple[int, ...] = (strides.index(8),)
            self.fine_head = PixelClassifier(channels[self._fine[0]], num_classes, dropout=options.dropout)
        else:
            self._fine = tuple(strides.index(stride) for stride in FINE_STRIDES)
            widths = tuple(channels[index] for index in self._fine)
            self.fusion = FineFusion(options.channels, widths, options.fine_channels)
        initialize(self.context, self.gate, self.fine_head, self.fusion, self.head)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H / 8, W / 8), or (B, K, H / 2, W / 2)."""
        maps = self.backbone(images)
        fine, deep = [maps[index] for index in self._fine], maps[-1]
        if self.fusion is not None:
            gate = resize(self.gate(_window_means(deep)).sigmoid(), deep.shape[2:])
            return DenseLogits(self.head(self.fusion(self.context(deep) * gate, fine)))
        assert self.fine_head is not None
        gate = self.gate(deep.mean(dim=(2, 3), keepdim=True)).sigmoid()
        context = resize(self.context(deep) * gate, fine[0].shape[2:])
        return DenseLogits(self.fine_head(fine[0]) + self.head(context))


class FineFusion(nn.Module):
    """Joins a coarse map with finer ones, the coarser of them first, as mmsegmentation does."""

    def __init__(self, channels: int, widths: Sequence[int], fine_channels: Sequence[int]) -> None:
        """Build the module.

        Args:
            channels: Channels of the coarse map and of the result.
            widths: Channels of the finer maps, the finest first.
            fine_channels: Channels to which each of them is projected.
        """
        super().__init__()
        self.mix = nn.Conv2d(channels, channels, 1)
        pairs = zip(widths, fine_channels, strict=True)
        self.fine = nn.ModuleList(nn.Conv2d(width, narrow, 1, bias=False) for width, narrow in pairs)
        self.joined = nn.ModuleList(ConvNormAct(channels + narrow, channels, 1) for narrow in fine_channels)

    def forward(self, coarse: torch.Tensor, levels: Sequence[torch.Tensor]) -> torch.Tensor:
        """Map (B, C, h, w) and finer maps, the finest first, to (B, C, h_0, w_0) of the finest."""
        x: torch.Tensor = self.mix(coarse)
        for level, fine, joined in reversed(list(zip(levels, self.fine, self.joined, strict=True))):
            x = joined(torch.cat((resize(x, level.shape[2:]), fine(level)), dim=1))
        return x


def _window_means(deep: torch.Tensor) -> torch.Tensor:
    """Return the means (B, C, h', w') of the windows of a map (B, C, h, w)."""
    height, width = deep.shape[2:]
    return F.avg_pool2d(deep, (min(WINDOW, height), min(WINDOW, width)), WINDOW_STEPS)


ENTRY = NetworkEntry(
    build=LRASPP,
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
