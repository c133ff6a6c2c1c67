"""BiSeNet (V1): a shallow path preserves detail, a deep one provides context, attention fuses both.

Paper: BiSeNet: Bilateral Segmentation Network for Real-time Semantic Segmentation (Yu et al., ECCV 2018),
https://arxiv.org/abs/1808.00897. Reference implementations: mmsegmentation (Apache-2.0 licence) and
https://github.com/CoinCheung/BiSeNet (MIT licence), with the same parameters.

What differs, and why: unlike the paper, both references end the spatial path with a fourth, 1x1 convolution
and weight channels with one normalised convolution instead of two plain ones. This file does the same, so
their weights load. The references differ from each other in one activation: `gate_activation`.

Shape legend: B batch, C channels, K classes, D context channels, H and W the input's height and width.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from limner.core.config import Config
from limner.core.outputs import AuxiliaryLogits, DenseLogits
from limner.layers.convolution import ConvNormAct
from limner.layers.fcn_head import FCNHead
from limner.layers.initialization import initialize
from limner.networks.backbones import Pretrained, build_backbone
from limner.networks.entry import NetworkEntry

Width = Annotated[int, Field(gt=0)]


class BiSeNetV1Options(Config):
    """Options of `BiSeNetV1`."""

    backbone: str = "resnet18"
    """Backbone of the context path: any of limner's ResNets, or a timm model with strides 8, 16 and 32."""
    channels: Annotated[int, Field(ge=2)] | None = None
    """Channels of the context path, from which the other widths follow; defaults to a quarter of the
    backbone's."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Channel dropout rate before the classifiers."""
    auxiliary: bool = True
    """Train auxiliary heads on both maps of the context path."""
    gate_activation: Literal["relu", "none"] = "relu"
    """Activation before the sigmoid of the fusion gate: `relu` as in mmsegmentation, `none` as in
    CoinCheung's code."""


class BiSeNetV1(nn.Module):
    """Spatial path and context path, fused at stride 8."""

    def __init__(
        self,
        options: BiSeNetV1Options,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        super().__init__()
        self.backbone = build_backbone(options.backbone, in_channels=in_channels, pretrained=pretrained)
        *_, middle, deep = self.backbone.channels
        channels = options.channels or deep // 4
        half = channels // 2
        self.refine16 = _AttentionRefinement(middle, channels)
        self.refine32 = _AttentionRefinement(deep, channels)
        self.smooth32 = ConvNormAct(channels, channels)
        self.smooth16 = ConvNormAct(channels, channels)
        self.image_mean = ConvNormAct(deep, channels, 1)
        self.spatial = nn.Sequential(
            ConvNormAct(in_channels, half, 7, stride=2),
            ConvNormAct(half, half, stride=2),
            ConvNormAct(half, half, stride=2),
            ConvNormAct(half, channels, 1),
        )
        self.join = ConvNormAct(2 * channels, 2 * channels, 1)
        self.gate = ConvNormAct(2 * channels, 2 * channels, 1, activation=options.gate_activation)
        self.head = FCNHead(2 * channels, 2 * channels, num_classes=num_classes, dropout=options.dropout)
        self.auxiliary_heads = nn.ModuleList(
            FCNHead(channels, half, num_classes=num_classes, dropout=options.dropout)
            for _ in range(2 if options.auxiliary else 0)
        )
        initialize(*(part for name, part in self.named_children() if name != "backbone"))

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H / 8, W / 8)."""
        spatial = self.spatial(images)
        context8, context16 = self._context(images, spatial.shape[2:])
        joined = self.join(torch.cat((spatial, context8), dim=1))  # (B, 2 D, H / 8, W / 8)
        logits = self.head(joined * torch.sigmoid(self.gate(_mean(joined))) + joined)
        if not self.training:
            return DenseLogits(logits)
        sides = zip(self.auxiliary_heads, (context8, context16), strict=False)
        return DenseLogits(logits, tuple(AuxiliaryLogits(head(side), 1.0) for head, side in sides))

    def _context(self, images: torch.Tensor, size: torch.Size) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the context (B, D, *size) and, at stride 16, (B, D, H / 16, W / 16)."""
        *_, middle, deep = self.backbone(images)
        context = self.refine32(deep) + self.image_mean(_mean(deep))
        context16 = self.smooth32(F.interpolate(context, size=middle.shape[2:], mode="nearest"))
        context = self.refine16(middle) + context16
        return self.smooth16(F.interpolate(context, size=size, mode="nearest")), context16


class _AttentionRefinement(nn.Module):
    """Channel attention computed from the image's mean."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv = ConvNormAct(in_channels, channels)
        self.gate = ConvNormAct(channels, channels, 1, activation="none")

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to (B, D, h, w)."""
        features = self.conv(features)
        return features * torch.sigmoid(self.gate(_mean(features)))


def _mean(features: torch.Tensor) -> torch.Tensor:
    return features.mean(dim=(2, 3), keepdim=True)


ENTRY = NetworkEntry(
    build=BiSeNetV1,
    options=BiSeNetV1Options,
    title="BiSeNet",
    paper="BiSeNet: Bilateral Segmentation Network for Real-time Semantic Segmentation",
    year=2018,
    family="real time",
    url="https://arxiv.org/abs/1808.00897",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/CoinCheung/BiSeNet",
    licence="MIT",
    good_for="Street scenes in real time, with a pretrained encoder.",
    variants={
        "resnet18": {},
        "resnet50": {"backbone": "resnet50"},
        "resnet18c": {"backbone": "resnet18c"},
    },
)
