"""Inf-Net: PraNet with an edge branch on fine features that guides reverse attention.

Paper: Inf-Net: Automatic COVID-19 Lung Infection Segmentation from CT Images (Fan et al., TMI 2020),
https://arxiv.org/abs/2004.14133. Authors' code: https://github.com/DengPingFan/Inf-Net (MIT licence).

What differs, and why: the authors supervise the edge branch with label boundaries, which no task here has as
a target; here it is supervised with the labels, at its own resolution. Any number of classes, the first being
background. Maps are resized to the map they are merged with, which differs from the authors' fixed factors
only for inputs whose sides are not multiples of 32. VGG16 uses max pooling, theirs average pooling.

Shape legend: B batch, C channels, K classes, H and W the input's height and width, s the finest stride.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from limner.core.config import Config
from limner.core.outputs import AuxiliaryLogits, DenseLogits
from limner.layers.convolution import ConvNormAct
from limner.layers.initialization import init_classifier, initialize
from limner.layers.partial_decoder import PartialDecoder
from limner.layers.receptive_field import ReceptiveFieldBlock
from limner.layers.reverse_attention import init_small_scale
from limner.networks.backbones import Pretrained, build_backbone
from limner.networks.entry import NetworkEntry
from limner.networks.pranet import reverse_attention_branches

Width = Annotated[int, Field(gt=0)]


class InfNetOptions(Config):
    """Options of `InfNet`."""

    backbone: str = "res2net50d"
    """Any of limner's ResNets, or a timm model with maps at the finest stride and the next three."""
    finest_stride: Literal[2, 4] = 4
    """Stride of the edge branch; that of the logits is twice as large. The authors use 2 with VGG16."""
    channels: Width = 32
    """Channels of each map of the partial decoder."""
    branch_widths: tuple[Width, Width, Width] = (64, 64, 256)
    """Channels of the reverse attention branches, finest to coarsest."""
    guide_channels: Width = 64
    """Channels of the edge branch."""
    auxiliary: bool = True
    """Supervise the three coarser maps and the edge branch too."""


class InfNet(nn.Module):
    """Backbone, edge branch, partial decoder, guided reverse attention."""

    def __init__(
        self,
        options: InfNetOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        super().__init__()
        self.backbone = build_backbone(options.backbone, in_channels=in_channels, pretrained=pretrained)
        first = self.backbone.strides.index(options.finest_stride)
        self._used = slice(first, first + 4)
        low, *widths = self.backbone.channels[self._used]
        guide = options.guide_channels
        self.fields = nn.ModuleList(ReceptiveFieldBlock(width, options.channels) for width in widths)
        self.decoder = PartialDecoder(options.channels, num_classes)
        self.branches = reverse_attention_branches(
            tuple(widths), options.branch_widths, num_classes=num_classes, guide_channels=guide
        )
        self.guide = nn.Sequential(
            ConvNormAct(low, guide, 1, activation="none"),
            ConvNormAct(guide, guide, activation="none"),
            ConvNormAct(guide, guide, activation="none"),
        )
        self.guide_head = ConvNormAct(guide, num_classes, activation="none") if options.auxiliary else None
        initialize(self.fields, self.decoder, self.branches, self.guide, self.guide_head)
        # Its input has no ReLU before it, so it has twice the variance of one after ReLU.
        init_classifier(self.decoder.head.conv.weight, inputs=2 * 3 * options.channels)
        if self.guide_head is not None:
            init_small_scale(self.guide_head.norm)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H / 2s, W / 2s)."""
        low, *pyramid = self.backbone(images)[self._used]
        fine, middle, deep = (field(features) for field, features in zip(self.fields, pyramid, strict=True))
        guide = self.guide(low)
        maps = [self.decoder(deep, middle, fine)]
        for branch, features in zip(self.branches, reversed(pyramid), strict=True):
            maps.append(branch(features, maps[-1], guide))
        *sides, logits = maps
        if not self.training or self.guide_head is None:
            return DenseLogits(logits)
        sides.append(self.guide_head(guide))
        return DenseLogits(logits, tuple(AuxiliaryLogits(side, 1.0) for side in sides))


ENTRY = NetworkEntry(
    build=InfNet,
    options=InfNetOptions,
    title="Inf-Net",
    paper="Inf-Net: Automatic COVID-19 Lung Infection Segmentation from CT Images",
    year=2020,
    family="medical",
    url="https://arxiv.org/abs/2004.14133",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/DengPingFan/Inf-Net",
    licence="MIT",
    good_for="One class with weak boundaries, such as infected regions in CT slices.",
    remark="The authors' count is 2,049,000 higher on Res2Net, the backbone's classifier, and 12,979,200 on "
    "VGG16, a second copy of its last blocks; both are unused.",
    variants={
        "res2net50d": {},
        "resnet50": {"backbone": "resnet50"},
        "vgg16": {"backbone": "vgg16", "finest_stride": 2},
    },
)
