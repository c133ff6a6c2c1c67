"""Deformable DETR: queries sample a few points of several levels, and each becomes a box.

Paper: Deformable DETR: Deformable Transformers for End-to-End Object Detection (Zhu et al., ICLR 2021),
https://arxiv.org/abs/2010.04159, with its iterative refinement of boxes and its two-stage form. Authors'
code: https://github.com/fundamentalvision/Deformable-DETR (Apache-2.0 licence).

What differs, and why: images of a batch have one size, so there is no mask of padded pixels, and the ratios
of valid pixels are 1. The result is the same.

Shape legend: B batch, C channels, Q queries, K classes, L levels, M pixels of all levels, H and W the input's
height and width, h and w those of a level.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from limner.core.config import Config
from limner.core.errors import ConfigError
from limner.core.outputs import QueryBoxes
from limner.layers.convolution import ConvNormAct
from limner.layers.deformable_attention import Size, pixel_centres
from limner.layers.deformable_layers import DeformablePixelLayer, DeformableQueryLayer
from limner.layers.norm import freeze_batch_norms
from limner.layers.query_boxes import BoxHead, moved_boxes, pixel_proposals, score_head
from limner.layers.sine_position import sine_of, sine_position
from limner.networks.backbones import Pretrained, build_backbone
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width
from limner.networks.pyramid_network import check_heads

GROUPS = 32
"""Number of groups in each GroupNorm."""

FINEST_STRIDE = 8
"""Stride of the finest level."""

FIRST_SIDE = -2.0
"""Logit of the width and height of boxes at the start: an eighth of the image, as in the authors' code."""


class DeformableDETROptions(Config):
    """Options of `DeformableDETR`."""

    backbone: str = "resnet50"
    """Any of limner's ResNets, or a timm model with feature maps at strides 8, 16 and 32."""
    backbone_norm: Literal["trained", "frozen"] = "frozen"
    """`frozen` keeps the encoder's pretrained batch normalisation fixed, as in the paper."""
    channels: Annotated[int, Field(gt=0, multiple_of=32)] = 256
    """Channels of encoder and decoder."""
    num_queries: Width = 300
    """Number of predicted boxes, most of them of nothing; must exceed the number of objects in any image."""
    levels: Annotated[int, Field(ge=1, le=6)] = 4
    """Number of levels: strides 8, 16 and 32, then coarser ones; of fewer levels than 3, the coarsest."""
    dilated: bool = False
    """Dilate the last stage of limner's ResNets, so that its map has a stride of 16 (DC5)."""
    heads: Width = 8
    """Number of heads of all attention layers."""
    points: Width = 4
    """Sampling points of deformable attention, per level and head."""
    encoder_layers: Width = 6
    """Number of layers of the encoder."""
    decoder_layers: Width = 6
    """Number of layers of the decoder."""
    feedforward: Width = 1024
    """Hidden channels of the layers' MLPs."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Dropout rate of every layer."""
    refines_boxes: bool = False
    """Each layer of the decoder moves the boxes of the one before."""
    two_stage: bool = False
    """Queries begin at the best of the boxes that the pixels predict; needs `refines_boxes`."""


class DeformableDETR(nn.Module):
    """Backbone, encoder of pixels, decoder of queries."""

    def __init__(
        self,
        options: DeformableDETROptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        """Build the network.

        Raises:
            ConfigError: The channels are not divisible by the heads, or the options contradict each other.
        """
        super().__init__()
        _check(options)
        channels = options.channels
        self.backbone = build_backbone(
            options.backbone,
            in_channels=in_channels,
            output_stride=16 if options.dilated else 32,
            pretrained=pretrained,
        )
        if options.backbone_norm == "frozen":
            freeze_batch_norms(self.backbone)
        finest = next(i for i, stride in enumerate(self.backbone.strides) if stride >= FINEST_STRIDE)
        self._first = max(finest, len(self.backbone.strides) - options.levels)
        widths = self.backbone.channels[self._first :]
        self.input_proj = nn.ModuleList(_projection(width, channels) for width in widths)
        for source in (widths[-1], *(channels,) * options.levels)[: options.levels - len(widths)]:
            self.input_proj.append(_projection(source, channels, kernel_size=3, stride=2))
        self.level_embed = nn.Parameter(torch.empty(options.levels, channels))
        self.encoder = nn.ModuleList(
            DeformablePixelLayer(
                channels,
                heads=options.heads,
                levels=options.levels,
                points=options.points,
                feedforward=options.feedforward,
                dropout=options.dropout,
            )
            for _ in range(options.encoder_layers)
        )
        self.decoder = BoxDecoder(options, num_classes=num_classes)
        nn.init.normal_(self.level_embed)

    def forward(self, images: Tensor) -> QueryBoxes:
        """Predict boxes: (B, C, H, W) float -> scores and boxes of the queries."""
        levels = self._levels(self.backbone(images)[self._first :])
        sizes = [(level.shape[2], level.shape[3]) for level in levels]
        pixels = torch.cat([level.flatten(2).transpose(1, 2) for level in levels], 1)  # (B, M, C)
        position = torch.cat(
            [
                sine_position(size, pixels.shape[-1], like=pixels, offset=-0.5) + embed
                for size, embed in zip(sizes, self.level_embed, strict=True)
            ]
        )
        references = pixel_centres(sizes, like=pixels)
        for layer in self.encoder:
            pixels = layer(pixels, position, references, sizes)
        outputs: QueryBoxes = self.decoder(pixels, sizes)
        return outputs

    def _levels(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return the projected maps (B, C, h, w), finest first, then those computed from the coarsest."""
        levels = [project(features) for project, features in zip(self.input_proj, maps, strict=False)]
        source = maps[-1]
        for project in list(self.input_proj)[len(levels) :]:
            source = project(source)
            levels.append(source)
        return levels


class BoxDecoder(nn.Module):
    """Queries, the layers that turn them into objects, and the heads that predict their classes and boxes."""

    def __init__(self, options: DeformableDETROptions, *, num_classes: int) -> None:
        super().__init__()
        channels = options.channels
        self.refines_boxes, self.two_stage = options.refines_boxes, options.two_stage
        self.num_queries = options.num_queries
        self.layers = nn.ModuleList(
            DeformableQueryLayer(
                channels,
                heads=options.heads,
                levels=options.levels,
                points=options.points,
                feedforward=options.feedforward,
                dropout=options.dropout,
            )
            for _ in range(options.decoder_layers)
        )
        count = len(self.layers) + options.two_stage if options.refines_boxes else 1
        self.classifiers = nn.ModuleList(score_head(channels, num_classes) for _ in range(count))
        sides = (0.0 if options.two_stage else FIRST_SIDE, *(0.0 for _ in range(count - 1)))
        self.regressors = nn.ModuleList(BoxHead(channels, first_side=side) for side in sides)
        if not options.two_stage:
            self.query_embed = nn.Embedding(options.num_queries, 2 * channels)
            self.reference_points = nn.Linear(channels, 2)
            nn.init.xavier_uniform_(self.reference_points.weight)
            nn.init.zeros_(self.reference_points.bias)
            return
        self.proposal_output = nn.Linear(channels, channels)
        self.proposal_norm = nn.LayerNorm(channels)
        self.query_output = nn.Linear(2 * channels, 2 * channels)
        self.query_norm = nn.LayerNorm(2 * channels)

    def forward(self, memory: Tensor, sizes: Sequence[Size]) -> QueryBoxes:
        """Decode the queries.

        Args:
            memory: (B, M, C) pixels of all levels.
            sizes: Height and width of each level.

        Returns:
            The last layer's boxes; in training also those of the other layers, and of the first stage.
        """
        queries, position, references, proposals = self._start(memory, sizes)
        found: list[QueryBoxes] = []
        for index, layer in enumerate(self.layers):
            queries = layer(queries, position, memory, references, sizes)
            head = index if self.refines_boxes else 0
            boxes = moved_boxes(self.regressors[head](queries), references)
            found.append(QueryBoxes(self.classifiers[head](queries), boxes))
            if self.refines_boxes:
                references = boxes.detach()
        *earlier, last = found
        if not self.training:
            return last
        return QueryBoxes(last.class_logits, last.boxes, tuple(earlier), proposals)

    def _start(
        self, memory: Tensor, sizes: Sequence[Size]
    ) -> tuple[Tensor, Tensor, Tensor, QueryBoxes | None]:
        """Return queries, their positions and reference points or boxes, and the boxes of the first stage."""
        if not self.two_stage:
            position, queries = self.query_embed.weight.expand(len(memory), -1, -1).chunk(2, -1)
            return queries, position, self.reference_points(position).sigmoid(), None
        proposals, inside = pixel_proposals(sizes, like=memory)
        seen = self.proposal_norm(self.proposal_output(memory.masked_fill(~inside[:, None], 0)))
        logits = self.classifiers[-1](seen)
        places = self.regressors[-1](seen) + proposals  # before the sigmoid
        best = logits[..., 0].topk(min(self.num_queries, logits.shape[1]), dim=1).indices
        chosen = places.gather(1, best[..., None].expand(-1, -1, 4)).detach()
        encoded = sine_of(chosen.sigmoid(), memory.shape[-1] // 2).to(memory.dtype)
        position, queries = self.query_norm(self.query_output(encoded)).chunk(2, -1)
        return queries, position, chosen.sigmoid(), QueryBoxes(logits, places.sigmoid())


def _projection(width: int, channels: int, *, kernel_size: int = 1, stride: int = 1) -> ConvNormAct:
    projection = ConvNormAct(
        width,
        channels,
        kernel_size,
        stride=stride,
        bias=True,
        norm="group",
        norm_groups=GROUPS,
        activation="none",
    )
    nn.init.xavier_uniform_(projection.conv.weight)
    assert projection.conv.bias is not None
    nn.init.zeros_(projection.conv.bias)
    return projection


def _check(options: DeformableDETROptions) -> None:
    check_heads("deformable-detr", options.heads, options.channels)
    if options.two_stage and not options.refines_boxes:
        raise ConfigError("deformable-detr: two_stage needs refines_boxes; set both.")


ENTRY = NetworkEntry(
    build=DeformableDETR,
    options=DeformableDETROptions,
    title="Deformable DETR",
    paper="Deformable DETR: Deformable Transformers for End-to-End Object Detection",
    year=2021,
    family="transformer",
    url="https://arxiv.org/abs/2010.04159",
    output=QueryBoxes,
    pretrained=True,
    code="https://github.com/fundamentalvision/Deformable-DETR",
    licence="Apache-2.0",
    good_for="Boxes without suppression of duplicates; needs ten thousand images or pretrained weights.",
    variants={
        "resnet50": {},
        "resnet50, refinement": {"refines_boxes": True},
        "resnet50, two-stage": {"refines_boxes": True, "two_stage": True},
    },
)
