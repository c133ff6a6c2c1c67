"""LR-ASPP: MobileNetV3 with a head of four 1x1 convolutions.

Paper: Searching for MobileNetV3 (Howard et al., ICCV 2019), https://arxiv.org/abs/1905.02244, section 6.4;
with the layers of torchvision's lraspp_mobilenet_v3_large (BSD-3-Clause licence), so its weights load.

What differs, and why: as in torchvision, the gate is the mean over the whole map, where the paper pools over
windows of 49 pixels with stride 16, which are tied to one size of images.

Shape legend: B batch, C channels, K classes, H and W the image's height and width.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from limner.core.config import Config
from limner.core.outputs import DenseLogits
from limner.layers.convolution import ConvNormAct
from limner.layers.fcn_head import PixelClassifier
from limner.layers.initialization import initialize
from limner.layers.resize import resize
from limner.networks.backbones import OutputStride, Pretrained, build_backbone
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width


class LRASPPOptions(Config):
    """Options of `LRASPP`."""

    backbone: str = "mobilenet_v3_large"
    """`mobilenet_v3_large`, any of limner's ResNets, or a timm model with a feature map at stride 8."""
    output_stride: OutputStride = 16
    """Output stride of the backbone."""
    channels: Width = 128
    """Channels of the projected coarse map."""
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
    variants={"mobilenet_v3_large": {}, "resnet18": {"backbone": "resnet18"}},
)
