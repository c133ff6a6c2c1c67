"""PSPNet: a dilated ResNet whose pixels also see averages over grids of the whole image.

Paper: Pyramid Scene Parsing Network (Zhao et al., CVPR 2017), https://arxiv.org/abs/1612.01105.
Authors' code: https://github.com/hszhao/semseg (MIT licence).

What differs by default, and why: the deep stem is the narrower one and dilation is contracted, as in
mmsegmentation (Apache-2.0), whose weights then fit; the scores are resized by `align_corners=False`, so that
inputs need not measure 8k + 1. The authors' network is `backbone="resnet50s", dilation="uniform",
align_corners=True`.

Shape legend: B batch, C channels, K classes, H and W the input's height and width, s the output stride.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from limner.core.config import Config
from limner.core.outputs import AuxiliaryLogits, DenseLogits
from limner.layers.fcn_head import FCNHead, PixelClassifier
from limner.layers.initialization import initialize
from limner.layers.pyramid_pooling import PyramidPooling
from limner.networks.backbones import Dilation, OutputStride, Pretrained, build_backbone
from limner.networks.entry import NetworkEntry

Width = Annotated[int, Field(gt=0)]


class PSPNetOptions(Config):
    """Options of `PSPNet`."""

    backbone: str = "resnet50c"
    """Any of our ResNets, or a timm model that can be dilated."""
    output_stride: OutputStride = 8
    """Pixels of the input that one score stands for: 8 is the paper's, 16 is faster."""
    dilation: Dilation = "contracted"
    """How the backbone reaches that stride; `uniform` is the authors'."""
    bins: Annotated[tuple[Width, ...], Field(min_length=1)] = (1, 2, 3, 6)
    """Sides of the grids that are averaged over."""
    channels: Width | None = None
    """Channels of each grid and of the head; null takes a quarter of the backbone's."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Part of the channels dropped before the classifiers."""
    auxiliary: bool = True
    """Train a side head on the last map but one."""
    auxiliary_channels: Width | None = None
    """Channels of the side head; null takes a quarter of its map's."""
    align_corners: bool = False
    """How the grids are resized to the map."""


class PSPNet(nn.Module):
    """Dilated backbone, pyramid pooling, classifier."""

    def __init__(
        self,
        options: PSPNetOptions,
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
            dilation=options.dilation,
            pretrained=pretrained,
        )
        *_, middle, deep = self.backbone.channels
        channels = options.channels or deep // 4
        self.pyramid = PyramidPooling(deep, channels, bins=options.bins, align_corners=options.align_corners)
        self.head = PixelClassifier(channels, num_classes, dropout=options.dropout)
        self.auxiliary_head = (
            FCNHead(
                middle,
                options.auxiliary_channels or middle // 4,
                num_classes=num_classes,
                dropout=options.dropout,
            )
            if options.auxiliary
            else None
        )
        initialize(self.pyramid, self.head, self.auxiliary_head)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H / s, W / s)."""
        *_, middle, deep = self.backbone(images)
        logits = self.head(self.pyramid(deep))
        if not self.training or self.auxiliary_head is None:
            return DenseLogits(logits)
        return DenseLogits(logits, (AuxiliaryLogits(self.auxiliary_head(middle), 0.4),))  # weight: the paper


ENTRY = NetworkEntry(
    build=PSPNet,
    options=PSPNetOptions,
    title="PSPNet",
    paper="Pyramid Scene Parsing Network",
    year=2017,
    family="context",
    url="https://arxiv.org/abs/1612.01105",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/hszhao/semseg",
    licence="MIT",
    good_for="Scenes where the whole image tells what a region is; borders are coarse.",
    variants={
        "resnet50c": {},
        "resnet18c": {"backbone": "resnet18c"},
        "resnet101c": {"backbone": "resnet101c"},
    },
)
