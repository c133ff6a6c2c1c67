"""Semantic FPN: the levels of a feature pyramid are upsampled to one resolution and summed.

Paper: Panoptic Feature Pyramid Networks (Kirillov et al., CVPR 2019), https://arxiv.org/abs/1901.02446.
Authors' code: https://github.com/facebookresearch/detectron2 (Apache-2.0 licence).

What differs by default, and why: batch instead of group normalisation and the deep stem, as in mmsegmentation
(Apache-2.0), so its published scores apply; `norm="group"` is the paper's. Branches
are upsampled to the size of the next finer level; mmsegmentation's doubling (`upsampling="doubling"`) gives
other scores where the sides are no multiples of 32.

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
from limner.layers.fcn_head import PixelClassifier
from limner.layers.initialization import init_classifier, initialize
from limner.layers.pyramid_sum import PyramidSum, Upsampling
from limner.layers.resize import enlarge_aligned
from limner.networks.backbones import Pretrained, build_backbone
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width


class SemanticFPNOptions(Config):
    """Options of `SemanticFPN`."""

    backbone: str = "resnet50c"
    """Any of limner's ResNets, or a timm model with feature maps at several strides."""
    pyramid_channels: Width = 256
    """Channels of the pyramid."""
    channels: Width = 128
    """Channels of the branches and of their sum."""
    norm: Literal["batch", "group"] = "batch"
    """Normalisation of the branches; `group`, with 32 groups, in the paper."""
    smooths_pyramid: bool = True
    """Add a 3x3 convolution on each level of the pyramid before its branch."""
    upsampling: Upsampling = "sizes"
    """How branches reach stride 4: in steps to the sizes of the finer levels; `doubling` in each step, as in
    mmsegmentation; or `aligned` corners, as in segmentation-models-pytorch."""
    enlarges_logits: bool = False
    """Return the logits at the size of the image, enlarged with aligned corners, as in
    segmentation-models-pytorch, instead of at stride 4."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Channel dropout rate before the classifier."""


class SemanticFPN(nn.Module):
    """Backbone, feature pyramid, one branch per level, classifier at stride 4."""

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
        pyramid = (options.pyramid_channels,) * len(widths)
        self.branches = PyramidSum(
            pyramid, options.channels, norm=options.norm, upsampling=options.upsampling
        )
        self._factor = 4 if options.enlarges_logits else 1
        self.head = PixelClassifier(options.channels, num_classes, dropout=options.dropout)
        initialize(self.laterals, self.smoothing, self.branches, self.head)
        # The head reads the sum of all branches, which are non-negative.
        init_classifier(self.head.conv.weight, inputs=options.channels * len(widths) ** 2)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H / 4, W / 4)."""
        maps = self.backbone(images)[self._first :]
        sizes = [features.shape[2:] for features in maps]
        levels = [lateral(features) for lateral, features in zip(self.laterals, maps, strict=True)]
        for fine, coarse in reversed(list(pairwise(range(len(levels))))):
            levels[fine] = levels[fine] + F.interpolate(levels[coarse], size=sizes[fine], mode="nearest")
        smoothed = [smoothing(features) for smoothing, features in zip(self.smoothing, levels, strict=True)]
        logits = self.head(self.branches(smoothed))
        return DenseLogits(enlarge_aligned(logits, self._factor, images.shape[2:]))


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
    good_for="Fast and small with any backbone; logits at stride 4.",
    remark="If the sides are no multiples of 32, branches are upsampled to the size of the next finer level; "
    "mmsegmentation doubles them, and `upsampling='doubling'` gives its scores.",
    variants={
        "resnet50c": {},
        "resnet18c": {"backbone": "resnet18c"},
        "resnet101c": {"backbone": "resnet101c"},
        "resnet50, group normalisation": {"backbone": "resnet50", "norm": "group"},
        "resnet34, as in segmentation-models-pytorch": {
            "backbone": "resnet34",
            "norm": "group",
            "smooths_pyramid": False,
            "upsampling": "aligned",
            "enlarges_logits": True,
            "dropout": 0.2,
        },
    },
)
