"""DenseASPP: densely connected dilated convolutions, each of which reads the outputs of all before it.

Paper: DenseASPP for Semantic Segmentation in Street Scenes (Yang et al., CVPR 2018),
https://openaccess.thecvf.com/content_cvpr_2018/html/Yang_DenseASPP_for_Semantic_CVPR_2018_paper.html.
Authors' code: https://github.com/DeepMotionAIResearch/DenseASPP (MIT licence).

What differs, and why: the head's normalisations have a momentum of 0.1 instead of 0.0003, with which the
running statistics of a short run would hardly leave their initial values. Odd maps are halved without losing
their last row.

Shape legend: B batch, C channels, K classes, H and W the input's height and width.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from limner.core.config import Config
from limner.core.outputs import DenseLogits
from limner.layers.fcn_head import PixelClassifier
from limner.layers.initialization import initialize
from limner.layers.norm import build_norm
from limner.layers.resize import resize
from limner.networks.backbones import Pretrained, build_densenet
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width

DenseNetName = Literal["densenet121", "densenet161", "densenet169", "densenet201"]
# cfgs/DenseASPP*.py of the authors' code: channels of a branch's 1x1 and of its 3x3 convolution.
WIDTHS: dict[DenseNetName, tuple[int, int]] = {
    "densenet121": (128, 64),
    "densenet161": (512, 128),
    "densenet169": (336, 168),
    "densenet201": (480, 240),
}


class DenseASPPOptions(Config):
    """Options of `DenseASPP`."""

    backbone: DenseNetName = "densenet121"
    """Which DenseNet."""
    output_stride: Literal[8, 16] = 8
    """Stride of the backbone's last map; 16 is faster. The map is upsampled to stride 8 before the head."""
    atrous_rates: Annotated[tuple[Width, ...], Field(min_length=1)] = (3, 6, 12, 18, 24)
    """Dilations of the branches, in order."""
    bottleneck_channels: Width | None = None
    """Channels of each branch's first convolution; defaults to the authors' for the backbone."""
    channels: Width | None = None
    """Channels that each branch adds; defaults to the authors' for the backbone."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Channel dropout rate after each branch and before the classifier."""


class DenseASPP(nn.Module):
    """Dilated DenseNet, densely connected dilated branches, classifier."""

    def __init__(
        self,
        options: DenseASPPOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        super().__init__()
        self.backbone = build_densenet(
            options.backbone,
            in_channels=in_channels,
            output_stride=options.output_stride,
            pretrained=pretrained,
        )
        bottleneck, added = WIDTHS[options.backbone]
        bottleneck, added = options.bottleneck_channels or bottleneck, options.channels or added
        width = self.backbone.channels[-1]
        self.reduction = nn.Sequential(
            build_norm("batch", width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width // 2, 1, bias=False),
            build_norm("batch", width // 2),
            nn.ReLU(inplace=True),
        )
        width //= 2
        self.branches = nn.ModuleList()
        for rate in options.atrous_rates:
            branch = _branch(width, bottleneck, added, rate=rate, first=not self.branches)
            self.branches.append(branch.append(nn.Dropout2d(options.dropout)))
            width += added
        self.head = PixelClassifier(width, num_classes, dropout=options.dropout)
        initialize(self.reduction, self.branches, self.head)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H / 8, W / 8)."""
        features = self.reduction(self.backbone(images)[-1])
        features = resize(features, [-(-length // 8) for length in images.shape[2:]])
        for branch in self.branches:
            features = torch.cat((branch(features), features), dim=1)
        return DenseLogits(self.head(features))


def _branch(in_channels: int, bottleneck: int, added: int, *, rate: int, first: bool) -> nn.Sequential:
    """Return a pre-normalised 1x1 and dilated 3x3 convolution; `first` omits the first normalisation."""
    start = nn.Sequential()
    if not first:  # the first branch's input is already normalised and activated
        start.extend((build_norm("batch", in_channels), nn.ReLU(inplace=True)))
    return start.extend(
        (
            nn.Conv2d(in_channels, bottleneck, 1),
            build_norm("batch", bottleneck),
            nn.ReLU(inplace=True),
            nn.Conv2d(bottleneck, added, 3, padding=rate, dilation=rate),
        )
    )


ENTRY = NetworkEntry(
    build=DenseASPP,
    options=DenseASPPOptions,
    title="DenseASPP",
    paper="DenseASPP for Semantic Segmentation in Street Scenes",
    year=2018,
    family="context",
    url="https://openaccess.thecvf.com/content_cvpr_2018/html/Yang_DenseASPP_for_Semantic_CVPR_2018_paper.html",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/DeepMotionAIResearch/DenseASPP",
    licence="MIT",
    good_for="Street scenes with objects of all sizes; few parameters, but much memory in training.",
    variants={
        "densenet121": {},
        "densenet161": {"backbone": "densenet161"},
        "densenet169": {"backbone": "densenet169"},
        "densenet201": {"backbone": "densenet201"},
    },
)
