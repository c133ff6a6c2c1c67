"""OCRNet: each pixel attends to one vector per class, the mean of what a first classifier takes for it.

Paper: Object-Contextual Representations for Semantic Segmentation (Yuan et al., ECCV 2020),
https://arxiv.org/abs/1909.11065. Authors' code: https://github.com/HRNet/HRNet-Semantic-Segmentation (MIT
licence).

What differs, and why: convolutions before a normalisation have no bias, and values and the attention's result
are normalised as in mmsegmentation (Apache-2.0), so its weights load.

Shape legend: B batch, C channels, K classes, H and W the image's height and width, h and w the map's, s the
output stride.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from limner.core.config import Config
from limner.core.outputs import AuxiliaryLogits, DenseLogits, resize_logits
from limner.layers.convolution import ConvNormAct
from limner.layers.fcn_head import PixelClassifier
from limner.layers.initialization import initialize
from limner.layers.pixel_attention import attend
from limner.layers.resize import resize
from limner.networks.backbones import Dilation, OutputStride, Pretrained, build_backbone
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width

COARSE_WEIGHT = 0.4
"""Weight of the loss of the first classifier, in the paper."""


class OCRNetOptions(Config):
    """Options of `OCRNet`."""

    backbone: str = "resnet50c"
    """Any of limner's ResNets and HRNets, or a timm model that can be dilated."""
    output_stride: OutputStride = 8
    """Output stride: 8 as in the paper; 16 is faster. HRNets need 32."""
    dilation: Dilation = "contracted"
    """How the backbone reaches that stride."""
    joins_maps: bool = False
    """Concatenate all maps of the backbone, resized to the finest, as for HRNet; else take the last two."""
    channels: Width = 512
    """Channels of the pixels and of the vectors of the classes."""
    region_channels: Width = 256
    """Channels of queries, keys and values."""
    coarse_channels: Width | None = None
    """Channels before the first classifier; defaults to 256, or to those of the joined maps."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Channel dropout rate before the classifiers."""


class OCRNet(nn.Module):
    """Backbone, a first classifier, attention of pixels to its classes, a second classifier."""

    def __init__(
        self,
        options: OCRNetOptions,
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
        self._joins_maps = options.joins_maps
        *_, middle, deep = self.backbone.channels
        if options.joins_maps:
            middle = deep = sum(self.backbone.channels)
        coarse = options.coarse_channels or (deep if options.joins_maps else 256)
        self.coarse = ConvNormAct(middle, coarse, 1 if options.joins_maps else 3)
        self.regions = PixelClassifier(coarse, num_classes, dropout=options.dropout)
        self.context = ConvNormAct(deep, options.channels)
        self.attention = RegionAttention(options.channels, options.region_channels)
        self.head = PixelClassifier(options.channels, num_classes, dropout=options.dropout)
        initialize(self.coarse, self.regions, self.context, self.attention, self.head)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H / s, W / s)."""
        *maps, middle, deep = self.backbone(images)
        if self._joins_maps:
            size = (maps[0] if maps else middle).shape[2:]
            middle = deep = torch.cat([resize(level, size) for level in (*maps, middle, deep)], dim=1)
        coarse = self.regions(self.coarse(middle))
        pixels = self.context(deep)
        logits = self.head(self.attention(pixels, resize_logits(coarse, pixels.shape[2:])))
        return DenseLogits(logits, (AuxiliaryLogits(coarse, COARSE_WEIGHT),) if self.training else ())


class RegionAttention(nn.Module):
    """Attention from each pixel to the mean of each class, joined with the pixel."""

    def __init__(self, channels: int, compared: int) -> None:
        """Build the module; `compared` is the number of channels of queries, keys and values."""
        super().__init__()
        self.query = nn.Sequential(ConvNormAct(channels, compared, 1), ConvNormAct(compared, compared, 1))
        self.key = nn.Sequential(ConvNormAct(channels, compared, 1), ConvNormAct(compared, compared, 1))
        self.value = ConvNormAct(channels, compared, 1)
        self.out = ConvNormAct(compared, channels, 1)
        self.fusion = ConvNormAct(2 * channels, channels, 1)

    def forward(self, pixels: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Map pixels (B, C, h, w) and scores of the classes (B, K, h, w) to (B, C, h, w)."""
        weights = scores.flatten(2).softmax(dim=2)  # of the pixels of each class
        means = torch.bmm(pixels.flatten(2), weights.transpose(1, 2)).unsqueeze(3)  # (B, C, K, 1)
        context = self.out(attend(self.query(pixels), self.key(means), self.value(means)))
        fused: torch.Tensor = self.fusion(torch.cat((context, pixels), dim=1))
        return fused


_HRNET = {"output_stride": 32, "joins_maps": True, "dropout": 0.0}

ENTRY = NetworkEntry(
    build=OCRNet,
    options=OCRNetOptions,
    title="OCRNet",
    paper="Object-Contextual Representations for Semantic Segmentation",
    year=2020,
    family="context",
    url="https://arxiv.org/abs/1909.11065",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/HRNet/HRNet-Semantic-Segmentation",
    licence="MIT",
    good_for="Street scenes with an HRNet: context of whole classes at little cost.",
    variants={
        "resnet50c": {},
        "resnet101c": {"backbone": "resnet101c"},
        "hrnetv2_w18": {"backbone": "hrnetv2_w18", **_HRNET},
        "hrnetv2_w48": {"backbone": "hrnetv2_w48", **_HRNET},
    },
)
