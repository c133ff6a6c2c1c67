"""CCNet: each pixel attends to its row and column, twice, which reaches the whole image.

Paper: CCNet: Criss-Cross Attention for Semantic Segmentation (Huang et al., ICCV 2019),
https://arxiv.org/abs/1811.11721. Authors' code: https://github.com/speedinghzl/CCNet (MIT licence).

What differs by default, and why: plain BatchNorm and ReLU instead of in-place normalisation with leaky
ReLU, and an auxiliary head of 256 channels instead of 512, as in mmsegmentation (Apache-2.0), so its
published scores apply.

Shape legend: B batch, C channels, h and w the map's height and width.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from limner.core.outputs import DenseLogits
from limner.layers.convolution import ConvNormAct
from limner.layers.initialization import initialize
from limner.networks.backbones import Pretrained
from limner.networks.context_network import AlignedOptions, ContextNetwork, JoinedWithInput
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width


class CCNetOptions(AlignedOptions):
    """Options of `CCNet`."""

    recurrence: Annotated[int, Field(gt=0)] = 2
    """How often the attention is applied; with 2, as in the paper, every pixel reaches every other."""
    attention_channels: Width | None = None
    """Channels of queries and keys; defaults to an eighth of the head's."""
    activation: Literal["relu", "leaky_relu"] = "relu"
    """Activation of the head; `leaky_relu` in the authors' code."""
    auxiliary_bias: bool = False
    """Whether the auxiliary head's convolution has a bias before its normalisation, as in the authors'
    code."""


class CCNet(ContextNetwork):
    """Dilated backbone, recurrent criss-cross attention, classifier."""

    def __init__(
        self,
        options: CCNetOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        activation = options.activation
        super().__init__(
            options,
            num_classes=num_classes,
            in_channels=in_channels,
            pretrained=pretrained,
            auxiliary_bias=options.auxiliary_bias,
            auxiliary_activation=activation,
        )
        attention = CrissCrossAttention(
            self.channels,
            options.attention_channels or max(self.channels // 8, 1),
            recurrence=options.recurrence,
        )
        before, after = (
            ConvNormAct(width, self.channels, activation=activation) for width in (self.deep, self.channels)
        )
        self.context = JoinedWithInput(
            nn.Sequential(before, attention, after), self.deep, self.channels, activation=activation
        )
        initialize(self.context)


class CrissCrossAttention(nn.Module):
    """Attention along rows and columns, repeated with the same weights; starts as the identity."""

    def __init__(self, channels: int, compared: int, *, recurrence: int) -> None:
        """Build the module; queries and keys have `compared` channels."""
        super().__init__()
        self.recurrence = recurrence
        self.query = nn.Conv2d(channels, compared, 1)
        self.key = nn.Conv2d(channels, compared, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to (B, C, h, w)."""
        for _ in range(self.recurrence):
            x = x + self.gamma * criss_cross_attention(self.query(x), self.key(x), self.value(x))
        return x


def criss_cross_attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Average the values of each pixel's row and column, weighted by one softmax over both.

    Args:
        query: (B, D, h, w).
        key: (B, D, h, w).
        value: (B, C, h, w).

    Returns:
        (B, C, h, w).
    """
    height = query.shape[2]
    rows = [x.permute(0, 2, 3, 1) for x in (query, key, value)]  # (B, h, w, ·)
    columns = [x.permute(0, 3, 2, 1) for x in (query, key, value)]  # (B, w, h, ·)
    across = rows[0] @ rows[1].transpose(2, 3)  # (B, h, w, w)
    down = columns[0] @ columns[1].transpose(2, 3)  # (B, w, h, h)
    # A pixel is in both its row and its column, but must count once.
    itself = torch.eye(height, dtype=torch.bool, device=query.device)
    down = down.masked_fill(itself, float("-inf"))
    weights = torch.cat((down.transpose(1, 2), across), dim=3).softmax(dim=3)  # (B, h, w, h + w)
    from_column, from_row = weights.to(value.dtype).tensor_split((height,), dim=3)
    mixed = (from_column.transpose(1, 2) @ columns[2]).transpose(1, 2)  # (B, h, w, C)
    return (mixed + from_row @ rows[2]).permute(0, 3, 1, 2)


ENTRY = NetworkEntry(
    build=CCNet,
    options=CCNetOptions,
    title="CCNet",
    paper="CCNet: Criss-Cross Attention for Semantic Segmentation",
    year=2019,
    family="context",
    url="https://arxiv.org/abs/1811.11721",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/speedinghzl/CCNet",
    licence="MIT",
    good_for="Attention over the whole image on large crops, at a fraction of the memory of DANet.",
    variants={
        "resnet50c": {},
        "resnet18c": {"backbone": "resnet18c"},
        "resnet101c": {"backbone": "resnet101c"},
        "resnet101s, as in the authors' code": {
            "backbone": "resnet101s",
            "dilation": "uniform",
            "activation": "leaky_relu",
            "auxiliary_channels": 512,
            "auxiliary_bias": True,
        },
    },
)
