"""CaraNet: context and axial attention, applied with reverse attention to regions not yet segmented.

Paper: CaraNet: Context Axial Reverse Attention Network for Segmentation of Small Medical Objects (Lou et al.,
SPIE 2022), https://arxiv.org/abs/2108.07368. Authors' code: https://github.com/AngeLouCN/CaraNet (no licence
stated; only its sizes and the order of its layers were taken).

What differs, and why: any number of classes, the first being background; and maps are resized to
the map they are merged with. The released code reshapes without transposing, so its attention "along columns"
runs along rows a second time, and mixes both for images that are not square. Here it runs along columns, as
in the paper; `column_attention="released"` reproduces the code.

Shape legend: B batch, C channels, K classes, H and W the input's height and width, h and w a map's.
"""

from itertools import accumulate
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from limner.core.config import Config
from limner.core.outputs import AuxiliaryLogits, DenseLogits
from limner.layers.initialization import initialize
from limner.layers.norm import TolerantBatchNorm2d
from limner.layers.partial_decoder import PartialDecoder
from limner.layers.resize import resize
from limner.layers.reverse_attention import background_probability, init_small_scale
from limner.networks.backbones import Pretrained, build_backbone
from limner.networks.entry import NetworkEntry

EPSILON = 1e-3  # of all normalisations after the backbone, as in the authors' code
Dilation = Annotated[int, Field(gt=0)]
ColumnAttention = Literal["paper", "released"]


class CaraNetOptions(Config):
    """Options of `CaraNet`."""

    backbone: str = "res2net101d"
    """Any of limner's ResNets, or a timm model with strides 8, 16 and 32; the authors use `res2net101d`."""
    channels: Annotated[int, Field(gt=0, multiple_of=16)] = 32
    """Channels of all layers after the backbone."""
    dilations: tuple[Dilation, Dilation, Dilation, Dilation] = (1, 3, 5, 9)
    """Dilations of the four branches of a context module."""
    column_attention: ColumnAttention = "paper"
    """Attention along columns, or as in the released code."""
    auxiliary: bool = True
    """Supervise the three coarser maps too."""


class CaraNet(nn.Module):
    """Backbone, partial decoder, context and axial reverse attention from the coarsest map to the finest."""

    def __init__(
        self,
        options: CaraNetOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        super().__init__()
        self.backbone = build_backbone(options.backbone, in_channels=in_channels, pretrained=pretrained)
        width = options.channels
        self.laterals = nn.ModuleList(
            _conv_norm_act(channels, width) for channels in self.backbone.channels[-3:]
        )
        self.decoder = PartialDecoder(width, num_classes, norm="none")
        self.branches = nn.ModuleList(_Branch(options, num_classes=num_classes) for _ in range(3))
        self.auxiliary = options.auxiliary
        initialize(self.laterals, self.decoder, self.branches)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H / 8, W / 8)."""
        pyramid = self.backbone(images)[-3:]
        narrow = [lateral(features) for lateral, features in zip(self.laterals, pyramid, strict=True)]
        fine, middle, deep = narrow
        maps = [self.decoder(deep, middle, fine)]
        for branch, features in zip(self.branches, (deep, middle, fine), strict=True):
            maps.append(branch(features, maps[-1]))
        *coarser, logits = maps
        if not (self.training and self.auxiliary):
            return DenseLogits(logits)
        return DenseLogits(logits, tuple(AuxiliaryLogits(side, 1.0) for side in coarser))


class _Branch(nn.Module):
    """Context module, axial attention, and three convolutions on regions not yet segmented."""

    def __init__(self, options: CaraNetOptions, *, num_classes: int) -> None:
        super().__init__()
        width = options.channels
        self.context = _ContextModule(width, dilations=options.dilations)
        self.attention = nn.Sequential(
            nn.Conv2d(width, width, 1, bias=False),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            _AxialAttention(width, axis="height", turns=options.column_attention == "paper"),
            _AxialAttention(width, axis="width"),
        )
        last = _conv_norm_act(width, num_classes)
        self.convs = nn.Sequential(_conv_norm_act(width, width), _conv_norm_act(width, width), last)
        init_small_scale(last[1])

    def forward(self, features: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) and coarse scores (B, K, ...) to scores (B, K, h, w)."""
        logits = resize(logits, features.shape[2:])
        correction: torch.Tensor = self.convs(
            background_probability(logits) * self.attention(self.context(features))
        )
        return correction + logits


class _ContextModule(nn.Module):
    """Four branches of dilated convolutions; each outputs all its steps and adds the branches before it."""

    def __init__(self, channels: int, *, dilations: tuple[int, ...]) -> None:
        super().__init__()
        quarter, eighth, sixteenth = channels // 4, channels // 8, channels // 16
        self.first = _norm_act(channels)
        self.narrow = _conv_norm_act(channels, quarter)
        self.chains = nn.ModuleList(
            nn.ModuleList(
                _conv_norm_act(wide, out, dilation=dilation, groups=sixteenth)
                for wide, out in ((quarter, sixteenth), (sixteenth, sixteenth), (sixteenth, eighth))
            )
            for dilation in dilations
        )
        self.last = _norm_act(channels)
        self.project = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to the same shape."""
        narrow = self.narrow(self.first(features))
        outputs = []
        for chain in self.chains:
            assert isinstance(chain, nn.ModuleList)
            steps = list(accumulate(chain, lambda step, conv: conv(step), initial=narrow))[1:]
            outputs.append(torch.cat(steps, dim=1))
        joined = torch.cat(list(accumulate(outputs)), dim=1)
        out: torch.Tensor = self.project(self.last(joined)) + features
        return out


class _AxialAttention(nn.Module):
    """Attention between columns (or rows), with weights shared by all pixels of one."""

    def __init__(self, channels: int, *, axis: Literal["height", "width"], turns: bool = True) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.key = nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.value = nn.Conv2d(channels, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(1))
        self.along_height = axis == "height"
        self.turns = self.along_height and turns

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to the same shape."""
        length = features.shape[2 if self.along_height else 3]
        query, key, value = (
            (mapped.transpose(2, 3) if self.turns else mapped).reshape(features.shape[0], -1, length)
            for mapped in (self.query(features), self.key(features), self.value(features))
        )
        weights = torch.sigmoid(query.transpose(1, 2) @ key)  # (B, length, length)
        attended = value @ weights.transpose(1, 2)
        batch, channels, height, width = features.shape
        if self.turns:
            attended = attended.reshape(batch, channels, width, height).transpose(2, 3)
        out: torch.Tensor = self.gamma * attended.reshape(features.shape) + features
        return out


def _norm_act(channels: int) -> nn.Sequential:
    return nn.Sequential(TolerantBatchNorm2d(channels, eps=EPSILON), nn.PReLU(channels))


def _conv_norm_act(
    in_channels: int, out_channels: int, *, dilation: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(
            in_channels, out_channels, 3, padding=dilation, dilation=dilation, groups=groups, bias=False
        ),
        *_norm_act(out_channels),
    )


ENTRY = NetworkEntry(
    build=CaraNet,
    options=CaraNetOptions,
    title="CaraNet",
    paper="CaraNet: Context Axial Reverse Attention Network for Segmentation of Small Medical Objects",
    year=2022,
    family="medical",
    url="https://arxiv.org/abs/2108.07368",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/AngeLouCN/CaraNet",
    licence="none stated",
    good_for="Small objects of one class, such as small polyps and lesions.",
    remark="The authors' count is 2,049,000 higher because it includes the backbone's unused classifier.",
    variants={
        "res2net101d": {},
        "res2net50d": {"backbone": "res2net50d"},
        "resnet50": {"backbone": "resnet50"},
    },
)
