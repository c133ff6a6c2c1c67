"""Base of context networks: a dilated backbone, a context module, a classifier and an auxiliary head.

Shape legend: B batch, C channels, K classes, H and W the input's height and width, s the output stride.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from limner.core.config import Config
from limner.core.outputs import AuxiliaryLogits, DenseLogits
from limner.layers.activation import ActivationName
from limner.layers.convolution import ConvNormAct
from limner.layers.fcn_head import FCNHead, PixelClassifier
from limner.layers.initialization import initialize
from limner.layers.resize import resize
from limner.networks.backbones import Dilation, OutputStride, Pretrained, build_backbone
from limner.networks.option_types import Width


class ContextOptions(Config):
    """Options of every `ContextNetwork`."""

    backbone: str = "resnet50c"
    """Any of limner's ResNets, or a timm model that can be dilated."""
    output_stride: OutputStride = 8
    """Output stride: 8 as in the papers; 16 is faster."""
    dilation: Dilation = "contracted"
    """How the backbone reaches that stride."""
    multi_grid: Annotated[tuple[Width, ...], Field(min_length=1)] = (1,)
    """Dilation factors of the blocks in the backbone's last stage."""
    channels: Width | None = None
    """Channels before the classifier; defaults to the published fraction of the backbone's."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Channel dropout rate before the classifiers."""
    auxiliary: bool = True
    """Train an auxiliary head on the second-to-last map."""
    auxiliary_channels: Width | None = None
    """Channels of the auxiliary head; defaults to the published fraction of its input's."""


class AlignedOptions(ContextOptions):
    """Options of networks whose authors interpolate the scores with aligned corners."""

    upsampling: Literal["none", "aligned"] = "none"
    """`none` returns scores at the output stride, which are then interpolated without aligned corners, as in
    mmsegmentation; `aligned` interpolates them here, with aligned corners, as in the authors' code."""


class ContextNetwork(nn.Module):
    """Dilated backbone, context module, classifier.

    A subclass sets `context`, which maps the backbone's coarsest map (B, `deep`, H / s, W / s) to
    (B, `channels`, H / s, W / s), and initialises it. With `joins_maps` it gets all maps instead, resized to
    the finest and concatenated.

    Attributes:
        middle: Channels of the backbone's last map but one.
        deep: Channels of what `context` gets.
        channels: Channels before the classifier.
        aligned: Whether the scores have the size of the image, see `AlignedOptions`.
    """

    context: nn.Module
    share = 4
    """Divides the backbone's last width to give the default of `channels`."""
    auxiliary_share = 4
    """The same for the auxiliary head, from the second-to-last width."""

    def __init__(
        self,
        options: ContextOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
        auxiliary_bias: bool | None = None,
        auxiliary_activation: ActivationName = "relu",
        joins_maps: bool = False,
    ) -> None:
        """Build all but `context`; by default the auxiliary head has no bias and uses ReLU."""
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
        self._joins_maps = joins_maps
        self.middle, self.deep = middle, sum(self.backbone.channels) if joins_maps else deep
        # Joined maps keep their width, as in HRNet's head.
        self.channels = options.channels or self.deep // (1 if joins_maps else self.share)
        self.aligned = isinstance(options, AlignedOptions) and options.upsampling == "aligned"
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
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H / s, W / s), or (B, K, H, W)."""
        maps = self.backbone(images)
        size = maps[0].shape[2:]
        deep = torch.cat([resize(level, size) for level in maps], dim=1) if self._joins_maps else maps[-1]
        return DenseLogits(self.scores(self.context(deep), images), self.auxiliary_logits(maps[-2]))

    def scores(self, features: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Return the logits (B, K, H / s, W / s) of features, or (B, K, H, W) with `aligned` upsampling."""
        logits: torch.Tensor = self.head(features)
        return resize(logits, images.shape[2:], align_corners=True) if self.aligned else logits

    def auxiliary_logits(self, middle: torch.Tensor) -> tuple[AuxiliaryLogits, ...]:
        """Return the auxiliary logits, in training only; their weight is that of the PSPNet paper."""
        if not self.training or self.auxiliary_head is None:
            return ()
        return (AuxiliaryLogits(self.auxiliary_head(middle), 0.4),)


class JoinedWithInput(nn.Module):
    """Concatenate a module's output with its input and fuse them with a 3x3 convolution."""

    def __init__(
        self, module: nn.Module, in_channels: int, channels: int, *, activation: ActivationName = "relu"
    ) -> None:
        """Build the layer; `module` maps `in_channels` to `channels`."""
        super().__init__()
        self.module = module
        self.fusion = ConvNormAct(in_channels + channels, channels, activation=activation)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to (B, channels, h, w)."""
        fused: torch.Tensor = self.fusion(torch.cat((features, self.module(features)), dim=1))
        return fused
