"""LinkNet: a light decoder whose blocks add the encoder's maps instead of concatenating them.

Paper: LinkNet: Exploiting Encoder Representations for Efficient Semantic Segmentation (Chaurasia and
Culurciello, VCIP 2017), https://arxiv.org/abs/1707.03718. The decoder has the layers of
segmentation-models-pytorch's Linknet (MIT licence), so weights can be exchanged.

What differs, and why: a block's output is cropped to the map that is added to it, so that any input size
works.

Shape legend: B batch, C channels, K classes, H and W the image's height and width, h and w a map's.
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
from limner.layers.norm import build_norm
from limner.layers.resize import cut
from limner.networks.backbones import Pretrained, build_backbone
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width


class LinkNetOptions(Config):
    """Options of `LinkNet`."""

    backbone: str = "resnet18"
    """Any of limner's ResNets or any timm model with feature maps at several strides."""
    channels: Width = 32
    """Channels of the last block."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Channel dropout rate before the classifier."""


class LinkNet(nn.Module):
    """Backbone, blocks that double the resolution, classifier."""

    def __init__(
        self,
        options: LinkNetOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        super().__init__()
        self.backbone = build_backbone(options.backbone, in_channels=in_channels, pretrained=pretrained)
        skips = dict(zip(self.backbone.strides, self.backbone.channels, strict=True))
        stride, width = self.backbone.strides[-1], self.backbone.channels[-1]
        self.decoder = nn.ModuleList()
        while stride > 1:
            stride //= 2
            out = skips.get(stride, width) if stride > 1 else options.channels
            self.decoder.append(_Block(width, out))
            width = out
        self.head = PixelClassifier(options.channels, num_classes, dropout=options.dropout)
        initialize(self.decoder, self.head)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H, W)."""
        maps = self.backbone(images)
        skips = dict(zip(self.backbone.strides, maps, strict=True))
        features, stride = maps[-1], self.backbone.strides[-1]
        for block in self.decoder:
            stride //= 2
            skip = skips.get(stride) if stride > 1 else None
            size = [-(-length // stride) for length in images.shape[2:]] if skip is None else skip.shape[2:]
            features = cut(block(features), size)
            if skip is not None:
                features = features + skip
        return DenseLogits(self.head(features))


class _Block(nn.Sequential):
    """Map (B, C, h, w) to (B, D, 2 h, 2 w): narrow, upsample with a transposed convolution, widen."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        narrow = max(in_channels // 4, 1)
        super().__init__(
            ConvNormAct(in_channels, narrow, 1),
            nn.Sequential(
                nn.ConvTranspose2d(narrow, narrow, 4, stride=2, padding=1),
                build_norm("batch", narrow),
                nn.ReLU(inplace=True),
            ),
            ConvNormAct(narrow, out_channels, 1),
        )


ENTRY = NetworkEntry(
    build=LinkNet,
    options=LinkNetOptions,
    title="LinkNet",
    paper="LinkNet: Exploiting Encoder Representations for Efficient Semantic Segmentation",
    year=2017,
    family="real time",
    url="https://arxiv.org/abs/1707.03718",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/qubvel-org/segmentation_models.pytorch",
    licence="MIT",
    good_for="Video with a pretrained encoder at full resolution; fewer operations than a U-Net.",
    variants={"resnet18": {}, "resnet34": {"backbone": "resnet34"}, "resnet50": {"backbone": "resnet50"}},
)
