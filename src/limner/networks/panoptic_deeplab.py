"""Panoptic-DeepLab: class, centre and offset of each pixel, from which objects of any shape are grouped.

Paper: Panoptic-DeepLab: A Simple, Strong, and Fast Baseline for Bottom-Up Panoptic Segmentation (Cheng et
al., CVPR 2020), https://arxiv.org/abs/1911.10194. Authors' code:
https://github.com/bowenc0221/panoptic-deeplab (Apache-2.0 licence).

What differs, and why: the class "nothing" is added, for data in which only objects are labelled. Losses and
grouping are in `losses/centre_offset.py` and `decoding/centre_offsets.py`.

Shape legend: B batch, C channels, K classes, H and W the input's height and width.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from limner.core.config import Config
from limner.core.outputs import CentreOffsets
from limner.layers.atrous_pyramid import AtrousPyramid
from limner.layers.convolution import ConvNormAct, SeparableConvNormAct
from limner.layers.fcn_head import PixelClassifier
from limner.layers.initialization import initialize
from limner.layers.resize import resize
from limner.networks.backbones import Dilation, OutputStride, Pretrained, build_backbone
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width

STRIDES = (8, 4)
"""Strides of the maps that refine a decoder, coarsest first."""

KERNEL = 5
"""Kernel size of the separable convolutions of decoders and heads."""

Pair = tuple[Width, Width]


class PanopticDeepLabOptions(Config):
    """Options of `PanopticDeepLab`."""

    backbone: str = "resnet50c"
    """Any of limner's ResNets, or a timm model with feature maps at strides 4 and 8."""
    output_stride: OutputStride = 16
    """Output stride of the backbone; networks without dilation need 32."""
    dilation: Dilation = "contracted"
    """How the backbone reaches that stride."""
    multi_grid: Annotated[tuple[Width, ...], Field(min_length=1)] = (1,)
    """Dilation factors of the blocks in the backbone's last stage."""
    atrous_rates: Annotated[tuple[Width, ...], Field(min_length=1)] = (6, 12, 18)
    """Dilations of the atrous branches."""
    atrous_channels: Width = 256
    """Channels of the atrous branches of both decoders."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Dropout rate after the atrous branches."""
    class_channels: Width = 256
    """Channels of the decoder of classes."""
    class_skips: Pair = (64, 32)
    """Channels of the maps of stride 8 and 4 in that decoder."""
    object_channels: Width = 128
    """Channels of the decoder of centres and offsets."""
    object_skips: Pair = (32, 16)
    """Channels of the maps of stride 8 and 4 in that decoder."""
    object_head_channels: Width = 32
    """Channels before the predictions of centres and offsets."""


class PanopticDeepLab(nn.Module):
    """Backbone, a decoder for classes, a decoder for centres and offsets, three heads."""

    def __init__(
        self,
        options: PanopticDeepLabOptions,
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
            multi_grid=options.multi_grid,
            pretrained=pretrained,
        )
        self._skips = tuple(self.backbone.strides.index(stride) for stride in STRIDES)
        widths = tuple(self.backbone.channels[level] for level in self._skips)
        deep = self.backbone.channels[-1]
        self.class_decoder = _Decoder(deep, widths, options, options.class_channels, options.class_skips)
        self.object_decoder = _Decoder(deep, widths, options, options.object_channels, options.object_skips)
        self.class_head = _head(options.class_channels, options.class_channels, num_classes + 1)
        self.centre_head = _head(options.object_channels, options.object_head_channels, 1)
        self.offset_head = _head(options.object_channels, options.object_head_channels, 2)
        initialize(self.class_decoder, self.object_decoder)
        initialize(self.class_head, self.centre_head, self.offset_head)

    def forward(self, images: torch.Tensor) -> CentreOffsets:
        """Map (B, C, H, W) float to class logits, centres and offsets at (H / 4, W / 4)."""
        pyramid = self.backbone(images)
        skips = tuple(pyramid[level] for level in self._skips)
        classes = self.class_decoder(pyramid[-1], skips)
        objects = self.object_decoder(pyramid[-1], skips)
        return CentreOffsets(self.class_head(classes), self.centre_head(objects), self.offset_head(objects))


class _Decoder(nn.Module):
    """Atrous pyramid, then for each skip: upsample, concatenate the projected skip, a 5x5 separable block."""

    def __init__(
        self, deep: int, widths: tuple[int, ...], options: PanopticDeepLabOptions, channels: int, skips: Pair
    ) -> None:
        super().__init__()
        self.context = AtrousPyramid(
            deep,
            options.atrous_channels,
            rates=options.atrous_rates,
            separable=True,
            dropout=options.dropout,
        )
        self.projections = nn.ModuleList(
            ConvNormAct(width, skip, 1) for width, skip in zip(widths, skips, strict=True)
        )
        self.fusions = nn.ModuleList(
            SeparableConvNormAct(before + skip, channels, KERNEL)
            for before, skip in zip((options.atrous_channels, channels), skips, strict=True)
        )

    def forward(self, deep: torch.Tensor, skips: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Map the coarsest map and the skips of stride 8 and 4 to (B, channels, H / 4, W / 4)."""
        features: torch.Tensor = self.context(deep)
        for skip, projection, fusion in zip(skips, self.projections, self.fusions, strict=True):
            features = resize(features, skip.shape[2:], align_corners=False)
            features = fusion(torch.cat((features, projection(skip)), 1))
        return features


def _head(in_channels: int, channels: int, outputs: int) -> nn.Sequential:
    """Build a head: a 5x5 separable block and a 1x1 convolution."""
    return nn.Sequential(
        SeparableConvNormAct(in_channels, channels, KERNEL), PixelClassifier(channels, outputs)
    )


ENTRY = NetworkEntry(
    build=PanopticDeepLab,
    options=PanopticDeepLabOptions,
    title="Panoptic-DeepLab",
    paper="Panoptic-DeepLab: A Simple, Strong, and Fast Baseline for Bottom-Up Panoptic Segmentation",
    year=2020,
    family="context",
    url="https://arxiv.org/abs/1911.10194",
    output=CentreOffsets,
    pretrained=True,
    code="https://github.com/bowenc0221/panoptic-deeplab",
    licence="Apache-2.0",
    good_for="Objects and stuff of street scenes and photographs, with an encoder.",
    variants={
        "resnet50c": {},
        "resnet18": {"backbone": "resnet18"},
        "resnet101c": {"backbone": "resnet101c"},
    },
)
