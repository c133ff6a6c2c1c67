"""PAN: a small pyramid of convolutions on the coarsest map as attention, and gates from coarse to fine maps.

Paper: Pyramid Attention Network for Semantic Segmentation (Li et al., BMVC 2018),
https://arxiv.org/abs/1805.10180. The decoder has the layers of segmentation-models-pytorch's PAN
(MIT licence), so weights can be exchanged.

What differs, and why: in the smallest images, a map that can no longer be halved stays as it is.

Shape legend: B batch, C channels, D channels of the decoder, K classes, H and W the image's height and width.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from limner.core.config import Config
from limner.core.outputs import DenseLogits
from limner.layers.convolution import ConvNormAct
from limner.layers.fcn_head import PixelClassifier
from limner.layers.initialization import init_classifier, initialize
from limner.layers.resize import enlarge_aligned, resize
from limner.networks.backbones import Dilation, OutputStride, Pretrained, build_backbone
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width


class PANOptions(Config):
    """Options of `PAN`."""

    backbone: str = "resnet34"
    """Any of limner's ResNets, or a timm model that can be dilated."""
    output_stride: OutputStride = 16
    """Output stride of the backbone; 32 is faster."""
    dilation: Dilation = "uniform"
    """How the backbone reaches that stride."""
    channels: Width = 32
    """Channels of the decoder."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Channel dropout rate before the classifier."""
    enlarges_logits: bool = False
    """Return the logits at the size of the image, enlarged with aligned corners, as in
    segmentation-models-pytorch, instead of at stride 4."""


class PAN(nn.Module):
    """Backbone, pyramid attention, three gated steps to stride 4, classifier."""

    def __init__(
        self,
        options: PANOptions,
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
        # A dilated backbone repeats its stride; timm's then gives only the deepest map of it.
        self._used = slice(next(i for i, stride in enumerate(self.backbone.strides) if stride >= 4), None)
        *skips, deep = self.backbone.channels[self._used]
        self.context = PyramidAttention(deep, options.channels)
        self.decoder = nn.ModuleList(_GatedStep(width, options.channels) for width in reversed(skips))
        self.head = PixelClassifier(options.channels, num_classes, kernel_size=3, dropout=options.dropout)
        self._factor = 4 if options.enlarges_logits else 1
        initialize(self.context, self.decoder, self.head)
        # Its input is a sum of four maps.
        init_classifier(self.head.conv.weight, inputs=4 * self.head.conv.weight[0].numel())

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H / 4, W / 4)."""
        *skips, deep = self.backbone(images)[self._used]
        features = self.context(deep)
        for step, skip in zip(self.decoder, reversed(skips), strict=True):
            features = step(skip, features)
        return DenseLogits(enlarge_aligned(self.head(features), self._factor, images.shape[2:]))


class PyramidAttention(nn.Module):
    """Weight each pixel by a pyramid of 7x7, 5x5 and 3x3 convolutions, and add the image's mean."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.image_branch = ConvNormAct(in_channels, channels, 1, bias=True)
        self.middle = ConvNormAct(in_channels, channels, 1, bias=True)
        self.down1 = ConvNormAct(in_channels, 1, 7, bias=True)
        self.down2 = ConvNormAct(1, 1, 5, bias=True)
        self.down3 = nn.Sequential(*(ConvNormAct(1, 1, 3, bias=True) for _ in range(2)))
        self.side2 = ConvNormAct(1, 1, 5, bias=True)
        self.side1 = ConvNormAct(1, 1, 7, bias=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to (B, D, h, w)."""
        size = x.shape[2:]
        image = self.image_branch(x.mean(dim=(2, 3), keepdim=True))
        first = self.down1(_halve(x))
        second = self.down2(_halve(first))
        third = self.down3(_halve(second))
        half, quarter = ([max(length // factor, 1) for length in size] for factor in (2, 4))
        weight = self.side2(second) + resize(third, quarter, align_corners=True)
        weight = self.side1(first) + resize(weight, half, align_corners=True)
        weighted: torch.Tensor = resize(weight, size, align_corners=True) * self.middle(x)
        weighted += image
        return weighted


def _halve(x: torch.Tensor) -> torch.Tensor:
    """Pool by two along each axis with more than one pixel."""
    return F.max_pool2d(x, [min(length, 2) for length in x.shape[2:]])


class _GatedStep(nn.Module):
    """Weight the channels of a finer map by the means of the coarser one, and add that, upsampled."""

    def __init__(self, skip_channels: int, channels: int) -> None:
        super().__init__()
        self.gate = ConvNormAct(channels, channels, 1, bias=True, activation="none")
        self.conv = ConvNormAct(skip_channels, channels, bias=True)

    def forward(self, skip: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
        """Map (B, C, *S) and (B, D, *S / 2) to (B, D, *S)."""
        gate = self.gate(coarse.mean(dim=(2, 3), keepdim=True)).sigmoid()
        up = resize(coarse, skip.shape[2:], align_corners=True)
        out: torch.Tensor = up + self.conv(skip) * gate
        return out


ENTRY = NetworkEntry(
    build=PAN,
    options=PANOptions,
    title="PAN",
    paper="Pyramid Attention Network for Semantic Segmentation",
    year=2018,
    family="context",
    url="https://arxiv.org/abs/1805.10180",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/qubvel-org/segmentation_models.pytorch",
    licence="MIT",
    good_for="A context network with few parameters and operations after the encoder.",
    variants={"resnet34": {}, "resnet50": {"backbone": "resnet50"}},
)
