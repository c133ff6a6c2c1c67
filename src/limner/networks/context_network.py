"""What networks share that look far: a dilated backbone, a context module, a classifier and a side head.

Shape legend: B batch, C channels, K classes, H and W the input's height and width, s the output stride.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from limner.core.config import Config
from limner.core.outputs import AuxiliaryLogits, DenseLogits
from limner.layers.activation import ActivationName
from limner.layers.convolution import ConvNormAct
from limner.layers.fcn_head import FCNHead, PixelClassifier
from limner.layers.initialization import initialize
from limner.networks.backbones import Dilation, OutputStride, Pretrained, build_backbone
from limner.networks.option_types import Width


class ContextOptions(Config):
    """Options of every `ContextNetwork`."""

    backbone: str = "resnet50c"
    """Any of our ResNets, or a timm model that can be dilated."""
    output_stride: OutputStride = 8
    """Pixels of the input that one score stands for: 8 is the papers', 16 is faster."""
    dilation: Dilation = "contracted"
    """How the backbone reaches that stride."""
    multi_grid: Annotated[tuple[Width, ...], Field(min_length=1)] = (1,)
    """Factors on the dilation in the backbone's last stage."""
    channels: Width | None = None
    """Channels that the classifier sees; null takes the published share of the backbone's."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Part of the channels dropped before the classifiers."""
    auxiliary: bool = True
    """Train a side head on the last map but one."""
    auxiliary_channels: Width | None = None
    """Channels of the side head; null takes the published share of its map's."""


class ContextNetwork(nn.Module):
    """Dilated backbone, context module, classifier.

    A subclass sets `context`, which maps the backbone's coarsest map (B, `deep`, H / s, W / s) to
    (B, `channels`, H / s, W / s), and initialises it.

    Attributes:
        middle: Channels of the backbone's last map but one.
        deep: Channels of the backbone's last map.
        channels: Channels that the classifier sees.
    """

    context: nn.Module
    share = 4
    """`channels` is the backbone's last width divided by this, unless the options say otherwise."""
    auxiliary_share = 4
    """The same for the side head, from the last width but one."""

    def __init__(
        self,
        options: ContextOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
        auxiliary_bias: bool | None = None,
        auxiliary_activation: ActivationName = "relu",
    ) -> None:
        """Build all but `context`; the side head has no bias and a ReLU unless told otherwise."""
        super().__init__()
        self.backbone = build_backbone(
            options.backbone,
            in_channels=in_channels,
            output_stride=options.output_stride,
            dilation=options.dilation,
            multi_grid=options.multi_grid,
            pretrained=pretrained,
        )
        *_, middle, deep = self.backbone.channels
        self.middle, self.deep = middle, deep
        self.channels = options.channels or deep // self.share
        self.head = PixelClassifier(self.channels, num_classes, dropout=options.dropout)
        self.auxiliary_head = (
            FCNHead(
                middle,
                options.auxiliary_channels or middle // self.auxiliary_share,
                num_classes=num_classes,
                bias=auxiliary_bias,
                activation=auxiliary_activation,
                dropout=options.dropout,
            )
            if options.auxiliary
            else None
        )
        initialize(self.head, self.auxiliary_head)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H / s, W / s)."""
        *_, middle, deep = self.backbone(images)
        return DenseLogits(self.head(self.context(deep)), self.side_logits(middle))

    def side_logits(self, middle: torch.Tensor) -> tuple[AuxiliaryLogits, ...]:
        """Score the last map but one, in training only; its weight is that of the PSPNet paper."""
        if not self.training or self.auxiliary_head is None:
            return ()
        return (AuxiliaryLogits(self.auxiliary_head(middle), 0.4),)


class JoinedWithInput(nn.Module):
    """What a module makes of a map, joined with the map itself by a 3x3 convolution."""

    def __init__(self, module: nn.Module, in_channels: int, channels: int) -> None:
        """Build the join; `module` maps `in_channels` to `channels`."""
        super().__init__()
        self.module = module
        self.fusion = ConvNormAct(in_channels + channels, channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to (B, channels, h, w)."""
        fused: torch.Tensor = self.fusion(torch.cat((features, self.module(features)), dim=1))
        return fused
