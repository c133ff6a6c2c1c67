"""MA-Net: a U-Net on an encoder with attention between all pixels, and gates of channels at each resolution.

Paper: MA-Net: A Multi-Scale Attention Network for Liver and Tumor Segmentation (Fan et al., IEEE Access
2020), https://ieeexplore.ieee.org/document/9201310. The decoder has the layers of
segmentation-models-pytorch's MAnet (MIT licence), so weights can be exchanged.

What differs, and why: maps are upsampled to the size of the skip connection, so that any input size works.
As in segmentation-models-pytorch, the attention between pixels is normalised over all pairs of pixels of an
image, and its output is read as if it were a map of channels.

Shape legend: B batch, C channels, K classes, H and W the image's height and width, h and w a map's.
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
from limner.layers.initialization import initialize
from limner.layers.up_block import UpBlock
from limner.networks.backbones import Pretrained, build_backbone
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width


class MANetOptions(Config):
    """Options of `MANet`."""

    backbone: str = "resnet34"
    """Any of limner's ResNets or any timm model."""
    decoder_widths: Annotated[tuple[Width, ...], Field(min_length=1)] = (256, 128, 64, 32, 16)
    """Channels of each decoder block from the coarsest; each block doubles the resolution."""
    attention_channels: Width = 64
    """Channels of the attention between pixels."""
    reduction: Width = 16
    """Reduction ratio of the gates of channels."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Channel dropout rate before the classifier."""


class MANet(nn.Module):
    """Backbone, attention between the pixels of its last map, gated decoder blocks, classifier."""

    def __init__(
        self,
        options: MANetOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        super().__init__()
        self.backbone = build_backbone(options.backbone, in_channels=in_channels, pretrained=pretrained)
        skips = dict(zip(self.backbone.strides, self.backbone.channels, strict=True))
        stride, width = self.backbone.strides[-1], self.backbone.channels[-1]
        self.context = PairAttention(width, options.attention_channels)
        self.decoder = nn.ModuleList()
        self._strides: list[int] = []
        for out in options.decoder_widths[: stride.bit_length() - 1]:
            stride //= 2
            self._strides.append(stride)
            skip = skips.get(stride, 0) if stride > 1 else 0
            self.decoder.append(
                GatedUpBlock(width, skip, out, reduction=options.reduction)
                if skip
                else UpBlock(width, 0, out)
            )
            width = out
        self.head = PixelClassifier(width, num_classes, kernel_size=3, dropout=options.dropout)
        initialize(self.context, self.decoder, self.head)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H / s, W / s), s = 1 by default."""
        maps = self.backbone(images)
        skips = dict(zip(self.backbone.strides, maps, strict=True))
        features = self.context(maps[-1])
        for block, stride in zip(self.decoder, self._strides, strict=True):
            skip = skips.get(stride) if stride > 1 else None
            size = torch.Size(-(-length // stride) for length in images.shape[2:])
            features = block(features, skip, size if skip is None else skip.shape[2:])
        return DenseLogits(self.head(features))


class PairAttention(nn.Module):
    """Attention with one softmax over all pairs of pixels of an image."""

    def __init__(self, channels: int, compared: int) -> None:
        """Build the module; queries and keys have `compared` channels."""
        super().__init__()
        self.key = nn.Conv2d(channels, compared, 1)
        self.query = nn.Conv2d(channels, compared, 1)
        self.value = nn.Conv2d(channels, channels, 3, padding=1)
        self.out = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to (B, C, h, w)."""
        key, query = self.key(x).flatten(2), self.query(x).flatten(2)
        value = self.value(x).flatten(2).transpose(1, 2)  # (B, h w, C)
        scores = query.transpose(1, 2) @ key  # (B, h w, h w)
        weights = scores.flatten(1).softmax(dim=1).view_as(scores)
        out: torch.Tensor = self.out(x + (weights @ value).reshape(x.shape))
        return out


class GatedUpBlock(nn.Module):
    """Upsample, gate the channels by both maps, concatenate the skip connection, two 3x3 blocks."""

    def __init__(self, in_channels: int, skip_channels: int, out_channels: int, *, reduction: int) -> None:
        super().__init__()
        self.narrow = nn.Sequential(
            ConvNormAct(in_channels, in_channels), ConvNormAct(in_channels, skip_channels, 1)
        )
        self.skip_gate, self.coarse_gate = (_gate(skip_channels, reduction) for _ in range(2))
        self.conv1 = ConvNormAct(2 * skip_channels, out_channels)
        self.conv2 = ConvNormAct(out_channels, out_channels)

    def forward(self, features: torch.Tensor, skip: torch.Tensor, size: torch.Size) -> torch.Tensor:
        """Map (B, C, h, w) and the skip connection of `size` to (B, D, *size)."""
        features = F.interpolate(self.narrow(features), size=size, mode="nearest")
        gate = self.coarse_gate(features) + self.skip_gate(skip)
        out: torch.Tensor = self.conv2(self.conv1(torch.cat((features * gate, skip), dim=1)))
        return out


def _gate(channels: int, reduction: int) -> nn.Sequential:
    narrow = max(channels // reduction, 1)
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(1),
        nn.Conv2d(channels, narrow, 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(narrow, channels, 1),
        nn.Sigmoid(),
    )


ENTRY = NetworkEntry(
    build=MANet,
    options=MANetOptions,
    title="MA-Net",
    paper="MA-Net: A Multi-Scale Attention Network for Liver and Tumor Segmentation",
    year=2020,
    family="medical",
    url="https://ieeexplore.ieee.org/document/9201310",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/qubvel-org/segmentation_models.pytorch",
    licence="MIT",
    good_for="Organs and lesions with a pretrained encoder; slower than a U-Net on the same one.",
    variants={"resnet34": {}, "resnet50": {"backbone": "resnet50"}},
)
