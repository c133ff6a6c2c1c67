"""FCOS: each point of a feature pyramid predicts the class and the box of the object that it is in.

Paper: FCOS: Fully Convolutional One-Stage Object Detection (Tian et al., ICCV 2019),
https://arxiv.org/abs/1904.01355. Authors' code: https://github.com/tianzhi0549/FCOS (BSD-2-Clause licence for
academic use; not consulted here).

What differs, and why: the score of a class also says how good the box is, which replaces the separate
centre-ness (Generalized Focal Loss, Li et al., NeurIPS 2020, https://arxiv.org/abs/2006.04388); which points
learn an object is decided by the loss (`losses/point_boxes.py`), not by its size. Both are better, and cost
nothing at prediction. The encoder may be any.

Shape legend: B batch, C channels, K classes, P points of all levels, H and W the input's height and width,
h and w the size of a level.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from limner.core.config import Config
from limner.core.outputs import PointBoxes
from limner.layers.convolution import ConvNormAct
from limner.layers.feature_pyramid import FeaturePyramid
from limner.layers.initialization import initialize
from limner.networks.backbones import Pretrained, build_backbone
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width

FIRST_SCORE = 0.01
"""Score of every class at the start, as few points are in objects (RetinaNet, Lin et al., ICCV 2017)."""

FIRST_DISTANCE = 4.0
"""Distance to each side of a box at the start in strides: boxes of 8 strides, like ATSS's anchors."""

MOST_OCTAVES = 10.0
"""Maximum distance to a side as a power of two of the stride, so that no box is infinite in 16 bits."""


class FCOSOptions(Config):
    """Options of `FCOS`."""

    backbone: str = "resnet50"
    """Any of limner's ResNets, or a timm model with feature maps at several strides."""
    channels: Width = 256
    """Channels of the pyramid and of the heads."""
    head_convs: Annotated[int, Field(ge=1)] = 4
    """3x3 convolutions before the scores of classes, and as many before the boxes."""
    finest_stride: Literal[4, 8, 16] = 8
    """Stride of the finest level; objects smaller than that are hard to find."""
    extra_levels: Annotated[int, Field(ge=0, le=3)] = 2
    """Levels coarser than those of the encoder, for large objects."""
    norm: Literal["group", "batch"] = "group"
    """Normalisation of pyramid and heads."""


class FCOS(nn.Module):
    """Encoder, feature pyramid, and two heads that all levels share."""

    def __init__(
        self,
        options: FCOSOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        super().__init__()
        self.backbone = build_backbone(options.backbone, in_channels=in_channels, pretrained=pretrained)
        strides = self.backbone.strides
        self._first = next(i for i, stride in enumerate(strides) if stride >= options.finest_stride)
        coarsest = strides[-1]
        self.strides = (
            *strides[self._first :],
            *(coarsest * 2 ** (i + 1) for i in range(options.extra_levels)),
        )
        self.pyramid = FeaturePyramid(
            self.backbone.channels[self._first :],
            options.channels,
            extra_levels=options.extra_levels,
            norm=options.norm,
        )
        self.class_tower, self.box_tower = _tower(options), _tower(options)
        self.classifier = nn.Conv2d(options.channels, num_classes, 3, padding=1)
        self.regressor = nn.Conv2d(options.channels, 4, 3, padding=1)
        self.level_scales = nn.Parameter(torch.ones(len(self.strides)))
        initialize(self.class_tower, self.box_tower)
        _initialize_output(self.classifier, bias=math.log(FIRST_SCORE / (1 - FIRST_SCORE)))
        _initialize_output(self.regressor, bias=math.log(FIRST_DISTANCE))

    def forward(self, images: Tensor) -> PointBoxes:
        """Map (B, C, H, W) float to the scores and boxes of all points, the finest level first."""
        levels = self.pyramid(self.backbone(images)[self._first :])
        scales = self.level_scales.unbind()
        found = [
            self._of_level(features, stride, scale)
            for features, stride, scale in zip(levels, self.strides, scales, strict=True)
        ]
        logits, boxes, points = zip(*found, strict=True)
        return PointBoxes(torch.cat(logits, 1), torch.cat(boxes, 1), torch.cat(points))

    def _of_level(self, features: Tensor, stride: int, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits (B, h * w, K), boxes (B, h * w, 4) and points (h * w, 3) of a level (B, C, h, w)."""
        points = level_points(features.shape[2:], stride, device=features.device)
        logits = self.classifier(self.class_tower(features)).flatten(2).transpose(1, 2)
        raw = self.regressor(self.box_tower(features)).flatten(2).transpose(1, 2).float() * scale
        distances = raw.clamp(max=MOST_OCTAVES * math.log(2)).exp() * stride  # (B, h * w, 4)
        centres = points[:, :2]
        boxes = torch.cat((centres - distances[..., :2], centres + distances[..., 2:]), -1)
        return logits, boxes, points


def level_points(size: Sequence[int], stride: int, *, device: torch.device) -> Tensor:
    """Return (h * w, 3): x, y and stride of the centres of a level's cells, row by row, in input pixels."""
    rows, columns = (torch.arange(length, device=device, dtype=torch.float32) for length in size)
    y, x = torch.meshgrid((rows + 0.5) * stride, (columns + 0.5) * stride, indexing="ij")
    return torch.stack((x, y, torch.full_like(x, stride)), -1).flatten(0, 1)


def _tower(options: FCOSOptions) -> nn.Sequential:
    convs = (
        ConvNormAct(options.channels, options.channels, norm=options.norm) for _ in range(options.head_convs)
    )
    return nn.Sequential(*convs)


def _initialize_output(conv: nn.Conv2d, *, bias: float) -> None:
    assert conv.bias is not None
    nn.init.normal_(conv.weight, std=0.01)
    nn.init.constant_(conv.bias, bias)


ENTRY = NetworkEntry(
    build=FCOS,
    options=FCOSOptions,
    title="FCOS",
    paper="FCOS: Fully Convolutional One-Stage Object Detection",
    year=2019,
    family="encoder-decoder",
    url="https://arxiv.org/abs/1904.01355",
    output=PointBoxes,
    pretrained=True,
    code="https://github.com/tianzhi0549/FCOS",
    licence="BSD-2-Clause",
    good_for="Boxes; the first choice for detection, as it learns from scratch on few images.",
    variants={
        "resnet50": {},
        "resnet18": {"backbone": "resnet18", "channels": 128, "head_convs": 2},
    },
)
