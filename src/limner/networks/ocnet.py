"""OCNet: object context by self-attention, in one of three arrangements.

Paper: OCNet: Object Context Network for Scene Parsing (Yuan and Wang, 2018),
https://arxiv.org/abs/1809.00916. Authors' code: https://github.com/openseg-group/OCNet.pytorch (MIT licence).

What differs, and why: plain batch normalisation and leaky ReLU instead of the equivalent compiled in-place
layer. On maps with fewer rows or columns than a partition requests, the partition is as fine as they
allow.

Shape legend: B batch, C channels, h and w the map's height and width.
"""

from functools import partial
from itertools import product
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from limner.core.outputs import DenseLogits
from limner.layers.activation import ActivationName
from limner.layers.convolution import ConvNormAct
from limner.layers.initialization import initialize
from limner.layers.pixel_attention import attend
from limner.layers.resize import resize
from limner.networks.backbones import Dilation, Pretrained
from limner.networks.context_network import ContextNetwork, ContextOptions
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width

# The authors' convolutions have a bias before the normalisation.
BiasedConv = partial(ConvNormAct, bias=True, activation="leaky_relu")
LeakyConv = partial(ConvNormAct, activation="leaky_relu")


class OCNetOptions(ContextOptions):
    """Options of `OCNet`."""

    backbone: str = "resnet50s"
    """Any of limner's ResNets, or a timm model that can be dilated."""
    dilation: Dilation = "uniform"
    """How the backbone reaches its output stride."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Channel dropout rate before the classifiers."""
    arrangement: Literal["base", "atrous", "pyramid"] = "base"
    """Attention over the map (Base-OC), in parallel with dilated convolutions (ASP-OC), or within partitions
    of increasing fineness (Pyramid-OC)."""
    atrous_rates: Annotated[tuple[Width, ...], Field(min_length=1)] = (12, 24, 36)
    """Dilations of the convolutions of `atrous`."""
    partitions: Annotated[tuple[Width, ...], Field(min_length=1)] = (1, 2, 3, 6)
    """Numbers of rows and columns that `pyramid` partitions the map into."""


class OCNet(ContextNetwork):
    """Dilated backbone, object context, classifier."""

    auxiliary_share = 2

    def __init__(
        self,
        options: OCNetOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        # The authors' pyramid variant has no activation after either of these two, their other variants after
        # both.
        activation: ActivationName = "none" if options.arrangement == "pyramid" else "leaky_relu"
        super().__init__(
            options,
            num_classes=num_classes,
            in_channels=in_channels,
            pretrained=pretrained,
            auxiliary_bias=True,
            auxiliary_activation=activation,
        )
        context: nn.Module
        if options.arrangement == "base":
            context = BaseContext(self.channels)
        elif options.arrangement == "atrous":
            context = AtrousContext(self.channels, rates=options.atrous_rates)
        else:
            context = PyramidContext(self.channels, partitions=options.partitions)
        self.context = nn.Sequential(
            ConvNormAct(self.deep, self.channels, bias=True, activation=activation), context
        )
        initialize(self.context)
        for module in self.context.modules():
            if isinstance(module, ObjectAttention):
                nn.init.zeros_(module.out.weight)  # adds nothing at first, as in the authors' code


class ObjectAttention(nn.Module):
    """Self-attention with shared queries and keys, within parts of the map or on a downsampled map."""

    def __init__(
        self, channels: int, *, compared: int, values: int, partition: int = 1, shrink: int = 1
    ) -> None:
        """Build the module.

        Args:
            channels: C.
            compared: Channels of queries and keys.
            values: Channels of the values.
            partition: Number of rows and columns of parts; pixels attend to their own part.
            shrink: Window size of the max pooling before attention.
        """
        super().__init__()
        self.partition = partition
        self.shrink = shrink
        self.key = BiasedConv(channels, compared, 1)
        self.value = nn.Conv2d(channels, values, 1)
        self.out = nn.Conv2d(values, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to (B, C, h, w)."""
        size = x.shape[2:]
        if self.shrink > 1:
            x = F.max_pool2d(x, self.shrink)
        key, value = self.key(x), self.value(x)
        context: torch.Tensor = self.out(self._attend_in_parts(key, value))
        return resize(context, size, align_corners=True)

    def _attend_in_parts(self, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        if self.partition == 1:
            return attend(key, key, value)
        mixed = torch.empty_like(value)
        for rows, columns in product(*(_cut(length, self.partition) for length in key.shape[2:])):
            part = key[:, :, rows, columns]
            mixed[:, :, rows, columns] = attend(part, part, value[:, :, rows, columns])
        return mixed


def _cut(length: int, parts: int) -> list[slice]:
    """Split an axis into parts of equal length; the last one includes the remainder."""
    parts = min(parts, length)
    step = length // parts
    return [slice(i * step, length if i == parts - 1 else (i + 1) * step) for i in range(parts)]


class BaseContext(nn.Module):
    """Attention over the whole map, concatenated with the map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attention = ObjectAttention(channels, compared=channels // 2, values=channels // 2)
        self.fusion = BiasedConv(2 * channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to (B, C, h, w)."""
        fused: torch.Tensor = self.fusion(torch.cat((self.attention(x), x), dim=1))
        return fused


class AtrousContext(nn.Module):
    """Atrous pyramid with attention instead of image pooling."""

    def __init__(self, channels: int, *, rates: tuple[int, ...]) -> None:
        super().__init__()
        width = channels // 2
        attention = ObjectAttention(width, compared=width // 2, values=width, shrink=2)
        self.branches = nn.ModuleList(
            [
                nn.Sequential(BiasedConv(channels, width), attention, BiasedConv(width, width, 1)),
                LeakyConv(channels, width, 1),
                *(LeakyConv(channels, width, dilation=rate) for rate in rates),
            ]
        )
        self.fusion = LeakyConv(len(self.branches) * width, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to (B, C, h, w)."""
        fused: torch.Tensor = self.fusion(torch.cat([branch(x) for branch in self.branches], dim=1))
        return fused


class PyramidContext(nn.Module):
    """Attention within partitions of the map, concatenated with the map projected to more channels."""

    def __init__(self, channels: int, *, partitions: tuple[int, ...]) -> None:
        super().__init__()
        self.attentions = nn.ModuleList(
            ObjectAttention(channels, compared=channels // 2, values=channels, partition=partition)
            for partition in partitions
        )
        self.widening = BiasedConv(channels, channels * len(partitions), 1)
        self.fusion = BiasedConv(2 * channels * len(partitions), channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to (B, C, h, w)."""
        levels = [self.widening(x), *(attention(x) for attention in self.attentions)]
        fused: torch.Tensor = self.fusion(torch.cat(levels, dim=1))
        return fused


ENTRY = NetworkEntry(
    build=OCNet,
    options=OCNetOptions,
    title="OCNet",
    paper="OCNet: Object Context Network for Scene Parsing",
    year=2018,
    family="context",
    url="https://arxiv.org/abs/1809.00916",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/openseg-group/OCNet.pytorch",
    licence="MIT",
    good_for="Scenes with large objects whose parts should get one label.",
    variants={
        "resnet50s": {},
        "resnet101s": {"backbone": "resnet101s"},
        "resnet101s, atrous": {"backbone": "resnet101s", "arrangement": "atrous", "dropout": 0.1},
        "resnet101s, pyramid": {"backbone": "resnet101s", "arrangement": "pyramid"},
    },
)
