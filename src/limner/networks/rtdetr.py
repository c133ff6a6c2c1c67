"""RT-DETR: an encoder of convolutions and one attention layer, whose best pixels become the queries.

Papers: DETRs Beat YOLOs on Real-time Object Detection (Zhao et al., CVPR 2024),
https://arxiv.org/abs/2304.08069, and RT-DETRv2 (Lv et al., 2024), https://arxiv.org/abs/2407.17140, which has
the same network with bilinear sampling, and a better training. Authors' code:
https://github.com/lyuwenyu/RT-DETR (Apache-2.0 licence); compared with transformers' (Apache-2.0 licence).

What differs, and why: images of any size are accepted, so the encodings of pixels and the proposals are
computed for each size. As in transformers, each layer of the decoder learns from the box that it was given,
without a gradient to the layer before.

Shape legend: B batch, C channels, Q queries, K classes, M pixels of all levels, H and W the input's height
and width, h and w those of a level.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from limner.core.boxes import Boxes, BoxTargets
from limner.core.config import Config
from limner.core.errors import ConfigError
from limner.core.outputs import DenoisedBoxes, QueryBoxes
from limner.layers.convolution import ConvNormAct
from limner.layers.deformable_attention import Size
from limner.layers.deformable_layers import DeformableQueryLayer
from limner.layers.noisy_boxes import Noise, NoisyBoxes, noisy_boxes
from limner.layers.norm import freeze_batch_norms
from limner.layers.pixel_layer import PixelLayer
from limner.layers.query_boxes import BoxHead, logit, moved_boxes, pixel_proposals, score_head
from limner.layers.sine_position import pixel_sine_position
from limner.layers.target_aware import TargetAware
from limner.networks.backbones import Pretrained, build_backbone
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width
from limner.networks.pyramid_network import check_heads

STRIDES = (8, 16, 32)
"""Strides of the levels."""

FUSION_BLOCKS = 3
"""Number of blocks in each fusion of two levels."""


class RTDETROptions(Config):
    """Options of `RTDETR`."""

    backbone: str = "resnet50d"
    """Any of limner's ResNets, or a timm model with feature maps at strides 8, 16 and 32. The published small
    forms have `resnet18vd` and `resnet34vd`."""
    backbone_norm: Literal["trained", "frozen"] = "frozen"
    """`frozen` keeps the encoder's pretrained batch normalisation fixed, as in the paper with ResNet-50."""
    encoder_channels: Annotated[int, Field(gt=0, multiple_of=4)] = 256
    """Channels of the encoder."""
    channels: Annotated[int, Field(gt=0, multiple_of=4)] = 256
    """Channels of the decoder."""
    num_queries: Width = 300
    """Number of predicted boxes, most of them of nothing; must exceed the number of objects in any image."""
    heads: Width = 8
    """Number of heads of all attention layers."""
    points: Width = 4
    """Sampling points of deformable attention, per level and head."""
    encoder_layers: Annotated[int, Field(ge=0)] = 1
    """Number of attention layers on the coarsest level."""
    decoder_layers: Width = 6
    """Number of layers of the decoder."""
    encoder_feedforward: Width = 1024
    """Hidden channels of the encoder's MLPs."""
    feedforward: Width = 1024
    """Hidden channels of the decoder's MLPs."""
    expansion: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Hidden channels of the fusions of two levels, as a fraction of the encoder's."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout rate of every attention layer."""
    denoising: Annotated[int, Field(ge=0)] = 100
    """Number of noisy copies of true boxes that training adds to the queries, for faster learning; 0 adds
    none."""


class RTDETR(TargetAware):
    """Backbone, hybrid encoder, selection of queries, decoder.

    Raises:
        ConfigError: The backbone has other strides, or the channels are not divisible by the heads.
    """

    takes = Boxes

    def __init__(
        self,
        options: RTDETROptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        super().__init__()
        check_heads("rtdetr", options.heads, options.channels)
        check_heads("rtdetr", options.heads, options.encoder_channels)
        self.backbone = build_backbone(options.backbone, in_channels=in_channels, pretrained=pretrained)
        if self.backbone.strides[-len(STRIDES) :] != STRIDES:
            raise ConfigError(
                f"rtdetr needs a backbone with strides 8, 16 and 32; {options.backbone} has "
                f"{', '.join(map(str, self.backbone.strides))}."
            )
        if options.backbone_norm == "frozen":
            freeze_batch_norms(self.backbone)
        self.encoder = HybridEncoder(self.backbone.channels[-len(STRIDES) :], options)
        self.decoder = SelectingDecoder(options, num_classes=num_classes)

    def forward(self, images: Tensor, targets: Sequence[BoxTargets] | None = None) -> QueryBoxes:
        """Predict boxes: (B, C, H, W) float -> scores and boxes of the queries.

        Args:
            images: Normalised images.
            targets: In training, the true boxes of each image in pixels, of which noisy copies are restored.
        """
        levels = self.encoder(self.backbone(images)[-len(STRIDES) :])
        outputs: QueryBoxes = self.decoder(levels, (images.shape[2], images.shape[3]), targets)
        return outputs


class HybridEncoder(nn.Module):
    """Attention on the coarsest level, then fusions from coarse to fine and back to coarse."""

    def __init__(self, widths: Sequence[int], options: RTDETROptions) -> None:
        super().__init__()
        channels, steps = options.encoder_channels, len(widths) - 1
        self.input_proj = nn.ModuleList(
            ConvNormAct(width, channels, 1, activation="none") for width in widths
        )
        self.layers = nn.ModuleList(
            PixelLayer(
                channels,
                heads=options.heads,
                feedforward=options.encoder_feedforward,
                dropout=options.dropout,
                activation="gelu",
            )
            for _ in range(options.encoder_layers)
        )
        self.laterals = nn.ModuleList(
            ConvNormAct(channels, channels, 1, activation="silu") for _ in range(steps)
        )
        self.finer = nn.ModuleList(Fusion(channels, options.expansion) for _ in range(steps))
        self.downsampling = nn.ModuleList(
            ConvNormAct(channels, channels, stride=2, activation="silu") for _ in range(steps)
        )
        self.coarser = nn.ModuleList(Fusion(channels, options.expansion) for _ in range(steps))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Map (B, C_i, h, w), finest first, to as many of C channels."""
        *rest, coarsest = (project(features) for project, features in zip(self.input_proj, maps, strict=True))
        top, passed = self._attended(coarsest), []
        for lateral, fuse, level in zip(self.laterals, self.finer, reversed(rest), strict=True):
            side = lateral(top)
            passed.append(side)
            raised = F.interpolate(side, size=level.shape[2:], mode="nearest")
            top = fuse(torch.cat((raised, level), 1))
        levels = [top]
        for reduce, fuse, level in zip(self.downsampling, self.coarser, reversed(passed), strict=True):
            levels.append(fuse(torch.cat((reduce(levels[-1]), level), 1)))
        return levels

    def _attended(self, features: Tensor) -> Tensor:
        if not self.layers:
            return features
        pixels = features.flatten(2).transpose(1, 2)  # (B, h w, C)
        position = pixel_sine_position((features.shape[2], features.shape[3]), pixels.shape[-1], like=pixels)
        for layer in self.layers:
            pixels = layer(pixels, position)
        return pixels.transpose(1, 2).reshape(features.shape)


class Fusion(nn.Module):
    """Two levels side by side become one: a branch of blocks and a short one are added (CSP)."""

    def __init__(self, channels: int, expansion: float) -> None:
        super().__init__()
        hidden = round(channels * expansion)
        self.long = ConvNormAct(2 * channels, hidden, 1, activation="silu")
        self.short = ConvNormAct(2 * channels, hidden, 1, activation="silu")
        self.blocks = nn.Sequential(*(TwoKernels(hidden) for _ in range(FUSION_BLOCKS)))
        is_same = hidden == channels
        self.output = nn.Identity() if is_same else ConvNormAct(hidden, channels, 1, activation="silu")

    def forward(self, both: Tensor) -> Tensor:
        """Map (B, 2 C, h, w) to (B, C, h, w)."""
        result: Tensor = self.output(self.blocks(self.long(both)) + self.short(both))
        return result


class TwoKernels(nn.Module):
    """The sum of a 3x3 and a 1x1 convolution (RepVGG, Ding et al., CVPR 2021)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.wide = ConvNormAct(channels, channels, activation="none")
        self.narrow = ConvNormAct(channels, channels, 1, activation="none")

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, C, h, w) to the same shape."""
        return F.silu(self.wide(features) + self.narrow(features))


class SelectingDecoder(nn.Module):
    """The pixels with the highest scores become queries, whose boxes each layer moves."""

    def __init__(self, options: RTDETROptions, *, num_classes: int) -> None:
        super().__init__()
        channels, levels = options.channels, len(STRIDES)
        self.num_classes, self.num_queries = num_classes, options.num_queries
        self.noise = Noise(queries=options.denoising)
        self.input_proj = nn.ModuleList(
            ConvNormAct(options.encoder_channels, channels, 1, activation="none") for _ in range(levels)
        )
        self.proposal_output = nn.Linear(channels, channels)
        self.proposal_norm = nn.LayerNorm(channels)
        self.proposal_scores = score_head(channels, num_classes)
        self.proposal_boxes = BoxHead(channels)
        self.position = nn.Sequential(
            nn.Linear(4, 2 * channels), nn.ReLU(inplace=True), nn.Linear(2 * channels, channels)
        )
        self.layers = nn.ModuleList(
            DeformableQueryLayer(
                channels,
                heads=options.heads,
                levels=levels,
                points=options.points,
                feedforward=options.feedforward,
                dropout=options.dropout,
            )
            for _ in range(options.decoder_layers)
        )
        self.classifiers = nn.ModuleList(score_head(channels, num_classes) for _ in self.layers)
        self.regressors = nn.ModuleList(BoxHead(channels) for _ in self.layers)
        if options.denoising:
            # The last row, of zeros, is for images with fewer boxes than others.
            self.label_embed = nn.Embedding(num_classes + 1, channels, padding_idx=num_classes)

    def forward(
        self, levels: Sequence[Tensor], size: Size, targets: Sequence[BoxTargets] | None = None
    ) -> QueryBoxes:
        """Select queries and decode them.

        Args:
            levels: (B, C, h, w), the finest first.
            size: H and W, which the targets are in.
            targets: True boxes of each image, or None.

        Returns:
            The last layer's boxes; in training also those of the other layers, of the selected pixels, and
            the restored copies of the targets.
        """
        maps = [project(level) for project, level in zip(self.input_proj, levels, strict=True)]
        sizes = [(features.shape[2], features.shape[3]) for features in maps]
        memory = torch.cat([features.flatten(2).transpose(1, 2) for features in maps], 1)  # (B, M, C)
        queries, selected = self._selected(memory, sizes)
        references, noisy, mask = selected.boxes.detach(), None, None
        if self.training and targets is not None and self.noise.queries:
            noisy = noisy_boxes(targets, size, self.noise, num_classes=self.num_classes)
        if noisy is not None:
            mask = noisy.visible(queries.shape[1])
            queries = torch.cat((self.label_embed(noisy.labels).to(queries.dtype), queries), 1)
            references = torch.cat((logit(noisy.boxes).sigmoid(), references), 1)
        found = self._decoded(queries, references, memory, sizes, mask)
        if not self.training:
            return found[-1]
        return _in_training(found, selected, noisy)

    def _selected(self, memory: Tensor, sizes: Sequence[Size]) -> tuple[Tensor, QueryBoxes]:
        """Return the features (B, Q, C) of the best pixels, detached, and their scores and boxes."""
        proposals, inside = pixel_proposals(sizes, like=memory)
        seen = self.proposal_norm(self.proposal_output(memory.masked_fill(~inside[:, None], 0)))
        logits = self.proposal_scores(seen)
        count = min(self.num_queries, logits.shape[1])
        best = logits.amax(-1).topk(count, dim=1).indices[..., None]
        chosen = seen.gather(1, best.expand(-1, -1, seen.shape[-1]))
        moves = self.proposal_boxes(chosen).float() + proposals[best.squeeze(-1)]
        scores = logits.gather(1, best.expand(-1, -1, self.num_classes))
        return chosen.detach(), QueryBoxes(scores, moves.sigmoid())

    def _decoded(
        self, queries: Tensor, references: Tensor, memory: Tensor, sizes: Sequence[Size], mask: Tensor | None
    ) -> list[QueryBoxes]:
        """Return the scores and boxes of each layer."""
        found = []
        for layer, classify, regress in zip(self.layers, self.classifiers, self.regressors, strict=True):
            position = self.position(references.to(queries.dtype))
            queries = layer(queries, position, memory, references, sizes, mask=mask)
            boxes = moved_boxes(regress(queries), references)
            found.append(QueryBoxes(classify(queries), boxes))
            references = boxes.detach()
        return found


def _in_training(found: Sequence[QueryBoxes], selected: QueryBoxes, noisy: NoisyBoxes | None) -> QueryBoxes:
    """Return the outputs of all layers, those of noisy boxes apart."""
    if noisy is None:
        *earlier, last = found
        return QueryBoxes(last.class_logits, last.boxes, (*earlier, selected))
    count = noisy.labels.shape[1]
    restored = tuple(QueryBoxes(one.class_logits[:, :count], one.boxes[:, :count]) for one in found)
    *earlier, last = (QueryBoxes(one.class_logits[:, count:], one.boxes[:, count:]) for one in found)
    denoised = DenoisedBoxes(restored, noisy.truth, noisy.groups)
    return QueryBoxes(last.class_logits, last.boxes, (*earlier, selected), denoised=denoised)


ENTRY = NetworkEntry(
    build=RTDETR,
    options=RTDETROptions,
    title="RT-DETR",
    paper="DETRs Beat YOLOs on Real-time Object Detection",
    year=2024,
    family="transformer",
    url="https://arxiv.org/abs/2304.08069",
    output=QueryBoxes,
    loss={"scores": "varifocal", "class_weight": 1.0, "class_cost": 2.0},
    pretrained=True,
    code="https://github.com/lyuwenyu/RT-DETR",
    licence="Apache-2.0",
    good_for="Boxes without suppression of duplicates, fast; from weights trained on COCO, versions 1 and 2.",
    variants={
        "resnet50d": {},
        "resnet34vd": {
            "backbone": "resnet34vd",
            "backbone_norm": "trained",
            "expansion": 0.5,
            "decoder_layers": 4,
        },
        "resnet18vd": {
            "backbone": "resnet18vd",
            "backbone_norm": "trained",
            "expansion": 0.5,
            "decoder_layers": 3,
        },
        "resnet101d": {
            "backbone": "resnet101d",
            "encoder_channels": 384,
            "encoder_feedforward": 2048,
        },
    },
)
