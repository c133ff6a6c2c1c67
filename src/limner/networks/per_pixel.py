"""The per-pixel baselines of MaskFormer: its pixel decoder, with classes of pixels instead of segments.

Paper: Per-Pixel Classification is Not All You Need for Semantic Segmentation (Cheng et al., NeurIPS 2021),
https://arxiv.org/abs/2107.06278. Authors' code: https://github.com/facebookresearch/MaskFormer (CC BY-NC 4.0
licence).

Without decoder layers it is the paper's PerPixelBaseline, with 6 its PerPixelBaseline+: one query per
class, whose product with the features is the class's score. What differs: nothing.

Shape legend: B batch, C channels, K classes, H and W the input's height and width.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from limner.core.outputs import AuxiliaryLogits, DenseLogits
from limner.layers.fcn_head import PixelClassifier
from limner.layers.initialization import initialize
from limner.layers.query_decoder import QueryDecoder
from limner.layers.segment_head import mask_embedding
from limner.layers.top_down_pyramid import TopDownPyramid
from limner.networks.backbones import Pretrained
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width
from limner.networks.pyramid_network import PyramidNetwork, PyramidOptions, check_heads


class PerPixelOptions(PyramidOptions):
    """Options of `PerPixel`."""

    channels: Annotated[int, Field(gt=0, multiple_of=4)] = 256
    """Channels of the decoders."""
    decoder_layers: Annotated[int, Field(ge=0)] = 6
    """Number of query decoder layers, with one query per class; 0 classifies with a convolution."""
    heads: Width = 8
    """Number of heads of all attention layers."""
    feedforward: Width = 2048
    """Hidden channels of the MLPs."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Dropout rate of all attention layers."""


class PerPixel(PyramidNetwork):
    """Backbone, pixel decoder, classifier."""

    def __init__(
        self,
        options: PerPixelOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        """Build the network.

        Raises:
            ConfigError: The channels are not divisible by the heads.
        """
        super().__init__(options, in_channels=in_channels, pretrained=pretrained)
        channels = options.channels
        check_heads("per-pixel", options.heads, channels)
        self.pixel_decoder = TopDownPyramid(self.widths, channels)
        self.head = _ByQueries(self.widths[-1], options, num_classes) if options.decoder_layers else None
        self.classifier = None if options.decoder_layers else PixelClassifier(channels, num_classes)
        initialize(self.classifier)

    def forward(self, images: Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H / 4, W / 4)."""
        maps = self.maps(images)
        features = self.pixel_decoder(maps)
        if self.classifier is not None:
            return DenseLogits(self.classifier(features))
        assert self.head is not None, "either the classifier or the head is set"
        *earlier, logits = self.head(maps[-1], features)
        return DenseLogits(logits, tuple(AuxiliaryLogits(side, 1.0) for side in earlier))


class _ByQueries(nn.Module):
    """One query per class; its product with the features is the class's score."""

    def __init__(self, width: int, options: PerPixelOptions, num_classes: int) -> None:
        super().__init__()
        self.query_decoder = QueryDecoder(
            width,
            options.channels,
            num_queries=num_classes,
            num_layers=options.decoder_layers,
            heads=options.heads,
            feedforward=options.feedforward,
            dropout=options.dropout,
        )
        self.mask_embed = mask_embedding(options.channels)

    def forward(self, top: Tensor, features: Tensor) -> list[Tensor]:
        """Return logits (B, K, h, w): of each layer in training, first to last, else only of the last."""
        decoded = self.query_decoder(top)
        return [
            torch.einsum("bkc,bchw->bkhw", self.mask_embed(queries), features)
            for queries in (decoded if self.training else decoded[-1:])
        ]


ENTRY = NetworkEntry(
    build=PerPixel,
    options=PerPixelOptions,
    title="PerPixelBaseline+",
    paper="Per-Pixel Classification is Not All You Need for Semantic Segmentation",
    year=2021,
    family="transformer",
    url="https://arxiv.org/abs/2107.06278",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/facebookresearch/MaskFormer",
    licence="CC BY-NC 4.0",
    good_for="Ablations: MaskFormer without its segments, to see what they contribute.",
    variants={
        "resnet50": {},
        "resnet50, no queries": {"decoder_layers": 0},
    },
)
