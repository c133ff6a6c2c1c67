"""Semantic FPN: the levels of a feature pyramid are brought to one resolution and summed.

Paper: Panoptic Feature Pyramid Networks (Kirillov et al., CVPR 2019), https://arxiv.org/abs/1901.02446.
Authors' code: https://github.com/facebookresearch/detectron2 (Apache-2.0 licence).

What differs by default, and why: batch instead of group normalisation and the deep stem, as in mmsegmentation
(Apache-2.0), whose measured scores then apply; `norm="group"` is the paper's. Up-sampling goes straight to
the size of the next level, so that inputs of odd size fit.

Shape legend: B batch, C channels, K classes, H and W the input's height and width.
"""

from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from limner.core.config import Config
from limner.core.outputs import DenseLogits
from limner.layers.convolution import ConvNormAct
from limner.layers.fcn_head import PixelClassifier
from limner.layers.initialization import initialize
from limner.layers.resize import resize
from limner.networks.backbones import Pretrained, build_backbone
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width


class SemanticFPNOptions(Config):
    """Options of `SemanticFPN`."""

    backbone: str = "resnet50c"
    """Any of our ResNets, or a timm model that gives maps at several strides."""
    pyramid_channels: Width = 256
    """Channels of the pyramid."""
    channels: Width = 128
    """Channels of the branches and of their sum."""
    norm: Literal["batch", "group"] = "batch"
    """Normalisation of the branches; group, of 32 groups, is the paper's."""
    smooths_pyramid: bool = True
    """A 3x3 convolution on each level of the pyramid before its branch."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Part of the channels dropped before the classifier."""


class SemanticFPN(nn.Module):
    """Backbone, feature pyramid, one branch a level, classifier at stride 4."""

    def __init__(
        self,
        options: SemanticFPNOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        super().__init__()
        self.backbone = build_backbone(options.backbone, in_channels=in_channels, pretrained=pretrained)
        self._first = next(i for i, stride in enumerate(self.backbone.strides) if stride >= 4)
        widths = self.backbone.channels[self._first :]
        self.laterals = nn.ModuleList(nn.Conv2d(width, options.pyramid_channels, 1) for width in widths)
        self.smoothing = nn.ModuleList(
            nn.Conv2d(options.pyramid_channels, options.pyramid_channels, 3, padding=1)
            if options.smooths_pyramid
            else nn.Identity()
            for _ in widths
        )
        self.branches = nn.ModuleList(_Branch(max(level, 1), options) for level in range(len(widths)))
        self.head = PixelClassifier(options.channels, num_classes, dropout=options.dropout)
        initialize(self.laterals, self.smoothing, self.branches, self.head)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H / 4, W / 4)."""
        maps = self.backbone(images)[self._first :]
        sizes = [features.shape[2:] for features in maps]
        levels = [lateral(features) for lateral, features in zip(self.laterals, maps, strict=True)]
        for fine, coarse in reversed(list(pairwise(range(len(levels))))):
            levels[fine] = levels[fine] + F.interpolate(levels[coarse], size=sizes[fine], mode="nearest")
        summed = torch.zeros((), device=images.device)
        for level, (features, smoothing, branch) in enumerate(
            zip(levels, self.smoothing, self.branches, strict=True)
        ):
            summed = summed + branch(smoothing(features), sizes[:level])
        return DenseLogits(self.head(summed))


class _Branch(nn.ModuleList):
    """3x3 blocks, each followed by a step to the next finer level."""

    def __init__(self, num_convs: int, options: SemanticFPNOptions) -> None:
        widths = (options.pyramid_channels, *(options.channels,) * num_convs)
        super().__init__(
            ConvNormAct(narrow, wide, norm=options.norm, norm_groups=32) for narrow, wide in pairwise(widths)
        )

    def forward(self, features: torch.Tensor, finer: list[torch.Size]) -> torch.Tensor:
        """Map (B, C, h, w) to (B, channels, *finer[0]); `finer` holds the sizes on the way, finest first."""
        for index, block in enumerate(self):
            features = block(features)
            if finer:
                features = resize(features, finer[len(finer) - 1 - index])
        return features


ENTRY = NetworkEntry(
    build=SemanticFPN,
    options=SemanticFPNOptions,
    title="Semantic FPN",
    paper="Panoptic Feature Pyramid Networks",
    year=2019,
    family="encoder-decoder",
    url="https://arxiv.org/abs/1901.02446",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/facebookresearch/detectron2",
    licence="Apache-2.0",
    good_for="Fast and lean on any backbone, with scores at a quarter of the image's resolution.",
    variants={
        "resnet50c": {},
        "resnet18c": {"backbone": "resnet18c"},
        "resnet101c": {"backbone": "resnet101c"},
        "resnet50, group normalisation": {"backbone": "resnet50", "norm": "group"},
    },
)
