"""Mask2Former: queries with masked attention, each limited to its own predicted mask, become segments.

Paper: Masked-attention Mask Transformer for Universal Image Segmentation (Cheng et al., CVPR 2022),
https://arxiv.org/abs/2112.01527. Authors' code: https://github.com/facebookresearch/Mask2Former (MIT licence;
its deformable attention is Apache-2.0).

What differs, and why: the result is the same. The masks of all queries are never materialised: attention
masks come from mask features that are resized to the level first, which is equivalent because resizing and
the product over channels commute, and the outputs keep the two factors (see `QueryMasks`).

Shape legend: B batch, C channels, Q queries, K classes, L levels, M pixels of all levels, H and W the input's
height and width, h and w those of a level.
"""

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from limner.core.errors import ConfigError
from limner.core.outputs import QueryMasks
from limner.layers.convolution import ConvNormAct
from limner.layers.deformable_attention import pixel_centres
from limner.layers.deformable_layers import DeformablePixelLayer
from limner.layers.initialization import init_uniform
from limner.layers.query_layer import QueryLayer
from limner.layers.resize import resize
from limner.layers.segment_head import SegmentHead
from limner.layers.sine_position import sine_position
from limner.networks.backbones import Pretrained
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width
from limner.networks.pyramid_network import PyramidNetwork, PyramidOptions, check_heads

LEVELS = 3
"""Strides 8, 16 and 32, which both decoders read."""

GROUPS = 32
"""Number of groups in each GroupNorm."""


class Mask2FormerOptions(PyramidOptions):
    """Options of `Mask2Former`."""

    channels: Annotated[int, Field(gt=0, multiple_of=4)] = 256
    """Channels of both decoders and of the masks."""
    num_queries: Width = 100
    """Number of predicted segments, most of them empty; must exceed the number of segments in any image."""
    heads: Width = 8
    """Number of heads of all attention layers."""
    points: Width = 4
    """Sampling points of deformable attention, per level and head."""
    pixel_layers: Annotated[int, Field(ge=0)] = 6
    """Number of deformable attention layers in the pixel decoder."""
    pixel_feedforward: Width = 1024
    """Hidden channels of those layers' MLPs."""
    decoder_layers: Width = 9
    """Number of query decoder layers, which attend to strides 32, 16 and 8 in turn."""
    decoder_feedforward: Width = 2048
    """Hidden channels of those layers' MLPs."""


class Mask2Former(PyramidNetwork):
    """Backbone, pixel decoder, query decoder."""

    def __init__(
        self,
        options: Mask2FormerOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        """Build the network.

        Raises:
            ConfigError: The backbone lacks one of the four strides, or the channels are not divisible by the
                heads.
        """
        super().__init__(options, in_channels=in_channels, pretrained=pretrained)
        _check(self.strides, options)
        self.pixel_decoder = PixelDecoder(self.widths, options)
        self.query_decoder = MaskedQueryDecoder(options, num_classes=num_classes)

    def forward(self, images: Tensor) -> QueryMasks:
        """Predict segments: (B, C, H, W) float -> class logits, and masks at (H / 4, W / 4)."""
        levels, features = self.pixel_decoder(self.maps(images))
        outputs: QueryMasks = self.query_decoder(levels, features)
        return outputs


def _check(strides: Sequence[int], options: Mask2FormerOptions) -> None:
    """Check that the backbone has the four strides and the channels are divisible by the heads."""
    check_heads("mask2former", options.heads, options.channels)
    if tuple(strides) != (4, 8, 16, 32):
        found = ", ".join(str(stride) for stride in strides)
        raise ConfigError(
            f"mask2former needs a backbone with maps at strides 4, 8, 16 and 32; {options.backbone} has "
            f"{found}. Use resnet50, swin_tiny_patch4_window7_224 or another pyramid."
        )


class PixelDecoder(nn.Module):
    """Pixel decoder: deformable attention over three levels, whose result is added to the finest map."""

    def __init__(self, widths: Sequence[int], options: Mask2FormerOptions) -> None:
        super().__init__()
        channels = options.channels
        finest, *others = widths
        self.input_proj = nn.ModuleList(
            ConvNormAct(w, channels, 1, norm="group", norm_groups=GROUPS, bias=True, activation="none")
            for w in reversed(others)
        )
        self.level_embed = nn.Parameter(torch.empty(LEVELS, channels))
        self.layers = nn.ModuleList(
            DeformablePixelLayer(
                channels,
                heads=options.heads,
                levels=LEVELS,
                points=options.points,
                feedforward=options.pixel_feedforward,
            )
            for _ in range(options.pixel_layers)
        )
        self.lateral = ConvNormAct(finest, channels, 1, norm="group", norm_groups=GROUPS, activation="none")
        self.smoothing = ConvNormAct(channels, channels, norm="group", norm_groups=GROUPS)
        self.mask_features = nn.Conv2d(channels, channels, 1)
        nn.init.normal_(self.level_embed)
        for convolution in self.input_proj.modules():
            if isinstance(convolution, nn.Conv2d) and convolution.bias is not None:
                nn.init.xavier_uniform_(convolution.weight)
                nn.init.zeros_(convolution.bias)
        init_uniform(self.lateral, self.smoothing, self.mask_features)

    def forward(self, maps: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Decode the backbone's maps.

        Args:
            maps: Feature maps at strides 4, 8, 16, 32.

        Returns:
            Maps (B, C, h, w) at strides 32, 16, 8, and the mask features (B, C, H / 4, W / 4).
        """
        finest, *others = maps
        levels = [
            project(features) for project, features in zip(self.input_proj, reversed(others), strict=True)
        ]
        sizes = [_size(level) for level in levels]
        pixels = torch.cat([level.flatten(2).transpose(1, 2) for level in levels], 1)  # (B, M, C)
        positions = [
            sine_position(size, pixels.shape[-1], like=pixels) + embed
            for size, embed in zip(sizes, self.level_embed, strict=True)
        ]
        position, references = torch.cat(positions), pixel_centres(sizes, like=pixels)
        for layer in self.layers:
            pixels = layer(pixels, position, references, sizes)
        parts = torch.split(pixels, [height * width for height, width in sizes], dim=1)
        levels = [
            part.transpose(1, 2).reshape(len(part), -1, *size)
            for part, size in zip(parts, sizes, strict=True)
        ]
        summed = self.lateral(finest) + resize(levels[-1], finest.shape[2:])
        return levels, self.mask_features(self.smoothing(summed))


class MaskedQueryDecoder(nn.Module):
    """Query decoder with masked cross-attention to one level after the other."""

    def __init__(self, options: Mask2FormerOptions, *, num_classes: int) -> None:
        super().__init__()
        channels = options.channels
        self.query_feat = nn.Parameter(torch.randn(options.num_queries, channels))
        self.query_embed = nn.Parameter(torch.randn(options.num_queries, channels))
        self.level_embed = nn.Parameter(torch.randn(LEVELS, channels))
        self.layers = nn.ModuleList(
            QueryLayer(channels, heads=options.heads, feedforward=options.decoder_feedforward)
            for _ in range(options.decoder_layers)
        )
        self.decoder_norm = nn.LayerNorm(channels)
        self.head = SegmentHead(channels, num_classes)

    def forward(self, levels: Sequence[Tensor], features: Tensor) -> QueryMasks:
        """Decode the queries.

        Args:
            levels: Maps (B, C, h, w), coarsest first.
            features: (B, C, H / 4, W / 4), whose product with a query's embedding is its mask.

        Returns:
            The last layer's segments; in training also those of the initial queries and the other layers.
        """
        values = [
            level.flatten(2).transpose(1, 2) + embed
            for level, embed in zip(levels, self.level_embed, strict=True)
        ]
        keys = [
            value + sine_position(_size(level), value.shape[-1], like=value)
            for value, level in zip(values, levels, strict=True)
        ]
        scaled = [resize(features.detach(), level.shape[2:]).flatten(2) for level in levels]
        queries = self.query_feat.expand(len(features), -1, -1)
        normed = self.decoder_norm(queries)
        earlier: list[QueryMasks] = []
        for index, layer in enumerate(self.layers):
            predicted = self.head(normed, features)
            earlier += [predicted] if self.training else []
            level = index % len(levels)
            mask = attention_mask(predicted.embeddings.detach(), scaled[level])
            queries = layer(queries, self.query_embed, keys[level], values[level], mask)
            normed = self.decoder_norm(queries)
        outputs: QueryMasks = self.head(normed, features, tuple(earlier))
        return outputs


def attention_mask(embeddings: Tensor, features: Tensor) -> Tensor:
    """Return which pixels of a level each query may attend to: its mask there, or all if that is empty.

    Args:
        embeddings: (B, Q, C).
        features: (B, C, h * w) mask features at the level's size.

    Returns:
        (B, Q, h * w) bool.
    """
    inside = torch.bmm(embeddings, features) >= 0  # a probability of at least one half
    return inside | ~inside.any(-1, keepdim=True)


def _size(level: Tensor) -> tuple[int, int]:
    return level.shape[2], level.shape[3]


ENTRY = NetworkEntry(
    build=Mask2Former,
    options=Mask2FormerOptions,
    title="Mask2Former",
    paper="Masked-attention Mask Transformer for Universal Image Segmentation",
    year=2022,
    family="transformer",
    url="https://arxiv.org/abs/2112.01527",
    output=QueryMasks,
    pretrained=True,
    code="https://github.com/facebookresearch/Mask2Former",
    licence="MIT",
    good_for="Objects and regions in one network, with pretrained weights; slower to train than the others.",
    variants={
        "resnet50": {},
        "resnet18": {"backbone": "resnet18"},
        "resnet101": {"backbone": "resnet101"},
        "swin-tiny": {"backbone": "swin_tiny_patch4_window7_224"},
        "swin-small": {"backbone": "swin_small_patch4_window7_224"},
        "swin-base": {"backbone": "swin_base_patch4_window12_384"},
        "swin-large": {"backbone": "swin_large_patch4_window12_384", "num_queries": 200},
    },
)
