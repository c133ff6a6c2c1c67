"""PraNet: a coarse global map, refined three times by reverse attention.

Paper: PraNet: Parallel Reverse Attention Network for Polyp Segmentation (Fan et al., MICCAI 2020),
https://arxiv.org/abs/2006.11392. Authors' code: https://github.com/DengPingFan/PraNet (no licence stated;
only its sizes and the order of its layers were taken).

What differs, and why: any number of classes, the first being background; and maps are resized to
the map they are merged with, which differs from the authors' fixed factors only for inputs whose sides are
not multiples of 32. As in the code, most convolutions have no activation after them.

Shape legend: B batch, C channels, K classes, H and W the input's height and width.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from limner.core.config import Config
from limner.core.outputs import AuxiliaryLogits, DenseLogits
from limner.layers.initialization import init_classifier, initialize
from limner.layers.partial_decoder import PartialDecoder
from limner.layers.receptive_field import ReceptiveFieldBlock
from limner.layers.reverse_attention import ReverseAttentionBranch
from limner.networks.backbones import Pretrained, build_backbone
from limner.networks.entry import NetworkEntry

Width = Annotated[int, Field(gt=0)]


class PraNetOptions(Config):
    """Options of `PraNet`."""

    backbone: str = "res2net50d"
    """Any of limner's ResNets, or a timm model with strides 8, 16 and 32; the paper uses `res2net50d`."""
    channels: Width = 32
    """Channels of each map of the partial decoder."""
    branch_widths: tuple[Width, Width, Width] = (64, 64, 256)
    """Channels of the reverse attention at strides 8, 16 and 32."""
    auxiliary: bool = True
    """Supervise the three coarser maps too."""


class PraNet(nn.Module):
    """Backbone, partial decoder, reverse attention from the coarsest map to the finest."""

    def __init__(
        self,
        options: PraNetOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        super().__init__()
        self.backbone = build_backbone(options.backbone, in_channels=in_channels, pretrained=pretrained)
        widths = self.backbone.channels[-3:]
        self.fields = nn.ModuleList(ReceptiveFieldBlock(width, options.channels) for width in widths)
        self.decoder = PartialDecoder(options.channels, num_classes)
        self.branches = reverse_attention_branches(
            widths, options.branch_widths, num_classes=num_classes, guide_channels=0
        )
        self.auxiliary = options.auxiliary
        initialize(self.fields, self.decoder, self.branches)
        # Its input has no ReLU before it, so it has twice the variance of one after ReLU.
        init_classifier(self.decoder.head.conv.weight, inputs=2 * 3 * options.channels)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H / 8, W / 8)."""
        pyramid = self.backbone(images)[-3:]
        fine, middle, deep = (field(features) for field, features in zip(self.fields, pyramid, strict=True))
        maps = [self.decoder(deep, middle, fine)]
        for branch, features in zip(self.branches, reversed(pyramid), strict=True):
            maps.append(branch(features, maps[-1]))
        *coarser, logits = maps
        if not (self.training and self.auxiliary):
            return DenseLogits(logits)
        return DenseLogits(logits, tuple(AuxiliaryLogits(side, 1.0) for side in coarser))


def reverse_attention_branches(
    in_channels: tuple[int, ...],
    widths: tuple[int, int, int],
    *,
    num_classes: int,
    guide_channels: int,
) -> nn.ModuleList:
    """Return the branches, coarsest first; the arguments are finest first."""
    *finer, coarsest = zip(in_channels, widths, strict=True)
    branches = [
        ReverseAttentionBranch(
            *coarsest,
            num_classes=num_classes,
            num_convs=3,
            kernel_size=5,
            last_kernel_size=1,
            guide_channels=guide_channels,
        )
    ]
    branches += [
        ReverseAttentionBranch(*pair, num_classes=num_classes, guide_channels=guide_channels)
        for pair in reversed(finer)
    ]
    return nn.ModuleList(branches)


ENTRY = NetworkEntry(
    build=PraNet,
    options=PraNetOptions,
    title="PraNet",
    paper="PraNet: Parallel Reverse Attention Network for Polyp Segmentation",
    year=2020,
    family="medical",
    url="https://arxiv.org/abs/2006.11392",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/DengPingFan/PraNet",
    licence="none stated",
    good_for="One class with blurred boundaries, such as polyps.",
    remark="The authors' count is 2,049,000 higher because it includes the backbone's unused classifier.",
    variants={
        "res2net50d": {},
        "resnet50": {"backbone": "resnet50"},
    },
)
