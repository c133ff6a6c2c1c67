"""ANN: non-local attention whose keys and values are pooled to a few averages, which makes it cheap.

Paper: Asymmetric Non-local Neural Networks for Semantic Segmentation (Zhu et al., ICCV 2019),
https://arxiv.org/abs/1908.07678. Authors' code: https://github.com/MendelXu/ANN (Apache-2.0 licence).

What differs by default, and why: convolutions before a normalisation have no bias, and the auxiliary head has
256 channels instead of 512, as in mmsegmentation (Apache-2.0), so its published scores apply. Values are
pooled before their 1x1 convolution instead of after it: the same result for a fraction of the operations.

Shape legend: B batch, C channels, K classes, h and w the map's height and width, A averages.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from limner.core.outputs import DenseLogits
from limner.layers.convolution import ConvNormAct
from limner.layers.initialization import initialize
from limner.layers.pixel_attention import attend
from limner.networks.backbones import Pretrained
from limner.networks.context_network import ContextNetwork, ContextOptions
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width


class ANNOptions(ContextOptions):
    """Options of `ANN`."""

    bins: Annotated[tuple[Width, ...], Field(min_length=1)] = (1, 3, 6, 8)
    """Grid sizes of the pooled keys and values."""
    attention_channels: Width | None = None
    """Channels of queries and keys; defaults to an eighth of the backbone's."""
    conv_bias: bool = False
    """Whether convolutions before a normalisation have a bias, as in the authors' code."""


class ANN(ContextNetwork):
    """Dilated backbone, attention between its last two maps, attention within the result, classifier."""

    def __init__(
        self,
        options: ANNOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        bias = options.conv_bias
        super().__init__(
            options,
            num_classes=num_classes,
            in_channels=in_channels,
            pretrained=pretrained,
            auxiliary_bias=bias,
        )
        compared = options.attention_channels or max(self.deep // 8, 1)
        self.fusion = AsymmetricAttention(
            self.deep, compared, bins=options.bins, key_channels=self.middle, bias=bias
        )
        self.fusion_bottleneck = ConvNormAct(2 * self.deep, self.deep, 1, activation="none", bias=bias)
        self.dropout = nn.Dropout2d(options.dropout)
        self.context = ConvNormAct(self.deep, self.channels, bias=bias)
        self.attention = AsymmetricAttention(self.channels, compared, bins=options.bins, bias=bias)
        self.bottleneck = ConvNormAct(2 * self.channels, self.channels, 1, bias=bias)
        parts = (self.fusion, self.fusion_bottleneck, self.context, self.attention, self.bottleneck)
        initialize(*parts)
        for part in (self.fusion, self.attention):
            part.init_as_identity()

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H / s, W / s)."""
        *_, middle, deep = self.backbone(images)
        fused = self.fusion_bottleneck(torch.cat((self.fusion(deep, middle), deep), dim=1))
        features = self.context(self.dropout(fused))
        features = self.bottleneck(torch.cat((self.attention(features, features), features), dim=1))
        return DenseLogits(self.head(features), self.auxiliary_logits(middle))


class AsymmetricAttention(nn.Module):
    """Attention from every pixel of one map to a few averages of another."""

    def __init__(
        self,
        channels: int,
        compared: int,
        *,
        bins: tuple[int, ...],
        key_channels: int | None = None,
        bias: bool = False,
    ) -> None:
        """Build the module.

        Args:
            channels: Channels of the query map and of the output.
            compared: Channels of queries, keys and values.
            bins: Grid sizes of the averages.
            key_channels: Channels of the key map; None means the query map itself, with one shared
                projection.
            bias: Whether the projections to queries and keys have a bias before their normalisation.
        """
        super().__init__()
        self.bins = bins
        self.key = ConvNormAct(key_channels or channels, compared, 1, bias=bias)
        self.query = None if key_channels is None else ConvNormAct(channels, compared, 1, bias=bias)
        self.value = nn.Conv2d(key_channels or channels, compared, 1)
        self.out = nn.Conv2d(compared, channels, 1)

    def init_as_identity(self) -> None:
        """Initialise the attention to add nothing at first, as the authors do."""
        nn.init.zeros_(self.out.weight)

    def forward(self, queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) and (B, C', h, w) to (B, C, h, w)."""
        key = self.key(keys)
        query = key if self.query is None else self.query(queries)
        # Averaging and a 1x1 convolution commute.
        value = self.value(self._averages(keys).unsqueeze(-1))  # (B, compared, A, 1)
        context: torch.Tensor = self.out(attend(query, self._averages(key), value))
        return context

    def _averages(self, features: torch.Tensor) -> torch.Tensor:
        grids = [F.adaptive_avg_pool2d(features, side).flatten(2) for side in self.bins]
        return torch.cat(grids, dim=2)  # (B, C, A)


ENTRY = NetworkEntry(
    build=ANN,
    options=ANNOptions,
    title="ANN",
    paper="Asymmetric Non-local Neural Networks for Semantic Segmentation",
    year=2019,
    family="context",
    url="https://arxiv.org/abs/1908.07678",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/MendelXu/ANN",
    licence="Apache-2.0",
    good_for="Attention over the whole image with little memory.",
    variants={
        "resnet50c": {},
        "resnet18c": {"backbone": "resnet18c"},
        "resnet101c": {"backbone": "resnet101c"},
        "resnet101s, as in the authors' code": {
            "backbone": "resnet101s",
            "dilation": "uniform",
            "conv_bias": True,
            "auxiliary_channels": 512,
            "dropout": 0.05,
        },
    },
)
