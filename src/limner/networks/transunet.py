"""TransUNet: a U-Net whose encoder is a ResNet with a transformer on its last map.

Paper: TransUNet: Transformers Make Strong Encoders for Medical Image Segmentation (Chen et al., 2021),
https://arxiv.org/abs/2102.04306. Authors' code: https://github.com/Beckschen/TransUNet (Apache-2.0 licence).

What differs, and why: queries, keys and values come from one layer, as in timm, whose weights then load; the
position embeddings are resized to the image, so any input size works; and for images of one channel the first
layer has one channel, where the authors repeat the image three times.

Shape legend: B batch, C channels, K classes, H and W the input's height and width.
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
from limner.layers.fcn_head import PixelClassifier
from limner.layers.initialization import initialize
from limner.layers.resize import cut
from limner.networks.backbones import Pretrained, build_hybrid_vit
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width


class TransUNetOptions(Config):
    """Options of `TransUNet`."""

    backbone: str = "vit_base_r50_s16_224"
    """ViT-B/16 on three stages of a ResNet-50: `vit_base_r50_s16_224` or `vit_base_r50_s16_384`."""
    num_blocks: Width | None = None
    """Number of transformer blocks; defaults to the backbone's."""
    resnet_blocks: tuple[Width, Width, Width] = (3, 4, 9)
    """Number of bottlenecks in each stage of the ResNet."""
    image_size: Annotated[int, Field(ge=16)] = 224
    """Image side that the position embeddings are learned for; they are interpolated for others."""
    channels: Width = 512
    """Channels of the decoder's input."""
    decoder_widths: tuple[Width, Width, Width, Width] = (256, 128, 64, 16)
    """Channels of the decoder after each doubling of the resolution."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Dropout rate inside the transformer."""


class TransUNet(nn.Module):
    """ResNet and transformer, U-Net decoder, classifier at full resolution."""

    def __init__(
        self,
        options: TransUNetOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        super().__init__()
        self.backbone = build_hybrid_vit(
            options.backbone,
            in_channels=in_channels,
            num_blocks=options.num_blocks,
            pretrained=pretrained,
            image_size=options.image_size,
            resnet_blocks=options.resnet_blocks,
            dropout=options.dropout,
        )
        *skips, deep = self.backbone.channels
        widths = (options.channels, *options.decoder_widths)
        self.bridge = ConvNormAct(deep, options.channels)
        self.decoder = nn.ModuleList(
            nn.Sequential(ConvNormAct(narrow + skip, wide), ConvNormAct(wide, wide))
            for (narrow, wide), skip in zip(pairwise(widths), (*reversed(skips), 0), strict=True)
        )
        self.head = PixelClassifier(widths[-1], num_classes, kernel_size=3)
        initialize(self.bridge, self.decoder, self.head)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H, W)."""
        *skips, x = self.backbone(images)
        x = self.bridge(x)
        for block, skip in zip(self.decoder, (*reversed(skips), None), strict=True):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
            x = block(x if skip is None else torch.cat([x, skip], dim=1))
        return DenseLogits(cut(self.head(x), images.shape[2:]))


ENTRY = NetworkEntry(
    build=TransUNet,
    options=TransUNetOptions,
    title="TransUNet",
    paper="TransUNet: Transformers Make Strong Encoders for Medical Image Segmentation",
    year=2021,
    family="transformer",
    url="https://arxiv.org/abs/2102.04306",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/Beckschen/TransUNet",
    licence="Apache-2.0",
    good_for="Organs and lesions that are identified by their position in the image; large, best pretrained.",
    variants={"224": {}, "512": {"image_size": 512}},
)
