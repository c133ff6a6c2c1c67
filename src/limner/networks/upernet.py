"""UPerNet: pyramid pooling on the last map, a feature pyramid, and a classifier on all fused levels.

Paper: Unified Perceptual Parsing for Scene Understanding (Xiao et al., ECCV 2018),
https://arxiv.org/abs/1807.10221. Authors' code: https://github.com/CSAILVision/unifiedparsing and, for plain
segmentation, https://github.com/CSAILVision/semantic-segmentation-pytorch (BSD-3-Clause licence).

What differs by default, and why: the narrower deep stem and an auxiliary head, as in mmsegmentation
(Apache-2.0), whose measured scores then apply. `backbone="resnet50s", auxiliary=False` has the authors'
layers.

Shape legend: B batch, C channels, D channels of the head, K classes, H and W the input's height and width.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from limner.core.config import Config
from limner.core.outputs import AuxiliaryLogits, DenseLogits
from limner.layers.fcn_head import FCNHead, PixelClassifier
from limner.layers.initialization import initialize
from limner.layers.norm import PixelNorm
from limner.layers.resize import enlarge_aligned
from limner.layers.uper_head import UPerHead
from limner.networks.backbones import Pretrained, build_backbone
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width


class UPerNetOptions(Config):
    """Options of `UPerNet`."""

    backbone: str = "resnet50c"
    """Any of limner's ResNets, Swin or MPViT, or a timm model with feature maps at several strides."""
    channels: Width = 512
    """Channels of the head."""
    bins: Annotated[tuple[Width, ...], Field(min_length=1)] = (1, 2, 3, 6)
    """Grid sizes of the pyramid pooling."""
    norm_features: bool = False
    """Apply LayerNorm to the backbone's maps, as the Swin Transformer's authors do."""
    feature_norm_eps: Annotated[float, Field(gt=0)] = 1e-5
    """Epsilon of those; 1e-6 in segmentation-models-pytorch."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Channel dropout rate before the classifiers."""
    auxiliary: bool = True
    """Train an auxiliary head on the second-to-last map."""
    auxiliary_channels: Width = 256
    """Channels of the auxiliary head."""
    enlarges_logits: bool = False
    """Return the logits at the size of the image, enlarged with aligned corners, as in
    segmentation-models-pytorch, instead of at stride 4."""


class UPerNet(nn.Module):
    """Backbone, pyramid pooling on its last map, top-down pyramid, classifier at stride 4."""

    def __init__(
        self,
        options: UPerNetOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        super().__init__()
        self.backbone = build_backbone(options.backbone, in_channels=in_channels, pretrained=pretrained)
        self._first = next(i for i, stride in enumerate(self.backbone.strides) if stride >= 4)
        widths = self.backbone.channels[self._first :]
        self.norms = (
            nn.ModuleList(PixelNorm(width, eps=options.feature_norm_eps) for width in widths)
            if options.norm_features
            else None
        )
        self.decoder = UPerHead(widths, options.channels, bins=options.bins)
        self.head = PixelClassifier(options.channels, num_classes, dropout=options.dropout)
        self._factor = 4 if options.enlarges_logits else 1
        self.auxiliary_head = (
            FCNHead(widths[-2], options.auxiliary_channels, num_classes=num_classes, dropout=options.dropout)
            if options.auxiliary
            else None
        )
        initialize(self.decoder, self.head, self.auxiliary_head)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H / 4, W / 4)."""
        maps = self.backbone(images)[self._first :]
        if self.norms is not None:
            maps = tuple(norm(features) for norm, features in zip(self.norms, maps, strict=True))
        logits = enlarge_aligned(self.head(self.decoder(maps)), self._factor, images.shape[2:])
        if not self.training or self.auxiliary_head is None:
            return DenseLogits(logits)
        return DenseLogits(logits, (AuxiliaryLogits(self.auxiliary_head(maps[-2]), 0.4),))


ENTRY = NetworkEntry(
    build=UPerNet,
    options=UPerNetOptions,
    title="UPerNet",
    paper="Unified Perceptual Parsing for Scene Understanding",
    year=2018,
    family="context",
    url="https://arxiv.org/abs/1807.10221",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/CSAILVision/semantic-segmentation-pytorch",
    licence="BSD-3-Clause",
    good_for="The usual head for strong or unusual backbones; needs no dilation.",
    variants={
        "resnet50c": {},
        "resnet18c": {"backbone": "resnet18c"},
        "resnet101c": {"backbone": "resnet101c"},
        "swin-tiny": {"backbone": "swin_tiny_patch4_window7_224", "norm_features": True},
        "mpvit-small": {"backbone": "mpvit_small"},
    },
)
