"""DBNet++: DBNet, whose levels are weighted at each pixel by an attention over the scales.

Paper: Real-Time Scene Text Detection with Differentiable Binarization and Adaptive Scale Fusion (Liao et al.,
TPAMI 2022), https://arxiv.org/abs/2202.10304. Authors' code: https://github.com/MhLiao/DB (Apache-2.0
licence), whose published settings are the form with attention over channels, places and scales.

What differs is what differs in `dbnet.py`.

Shape legend: B batch, C channels, h and w height and width at stride 4.
"""

import torch
from torch import Tensor, nn

from limner.core.outputs import TextMaps
from limner.layers.initialization import initialize
from limner.networks.backbones import Pretrained
from limner.networks.dbnet import NUM_LEVELS, VARIANTS, DBNet, DBNetOptions
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width

REDUCTION = 4
"""Factor by which the attention over channels narrows them."""


class DBNetPlusPlusOptions(DBNetOptions):
    """Options of `DBNetPlusPlus`."""

    attention_channels: Width | None = None
    """Channels of the attention over the scales; defaults to a quarter of `channels`, as in the authors'
    code. mmocr has as many as `channels`."""


class DBNetPlusPlus(DBNet):
    """DBNet with `AdaptiveScaleFusion` between the pyramid and the heads."""

    def __init__(
        self,
        options: DBNetPlusPlusOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        super().__init__(options, num_classes=num_classes, in_channels=in_channels, pretrained=pretrained)
        width = options.attention_channels or options.channels // NUM_LEVELS
        self.fusion = AdaptiveScaleFusion(options.channels, width)

    def fuse(self, levels: list[Tensor]) -> Tensor:
        """Return the weighted levels side by side, (B, channels, h, w)."""
        weighted: Tensor = self.fusion(levels)
        return weighted


class AdaptiveScaleFusion(nn.Module):
    """Weighs each level at each pixel by a number from 0 to 1.

    The weights come from a map of all levels, to which an attention over its channels is added, and then one
    over its places.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        narrow = channels // REDUCTION
        self.conv = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.channel_attention = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, narrow, 1, bias=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(narrow, channels, 1, bias=False),
            nn.Sigmoid(),
        )
        self.place_attention = nn.Sequential(
            nn.Conv2d(1, 1, 3, padding=1, bias=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(1, 1, 1, bias=False),
            nn.Sigmoid(),
        )
        self.scale_attention = nn.Sequential(nn.Conv2d(channels, NUM_LEVELS, 1, bias=False), nn.Sigmoid())
        initialize(self)

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Map four levels (B, C, h, w) to (B, 4 * C, h, w)."""
        features = self.conv(torch.cat(levels, 1))
        features = features + self.channel_attention(features)
        features = features + self.place_attention(features.mean(1, keepdim=True))
        weights = self.scale_attention(features).split(1, 1)
        return torch.cat([weight * level for weight, level in zip(weights, levels, strict=True)], 1)


ENTRY = NetworkEntry(
    build=DBNetPlusPlus,
    options=DBNetPlusPlusOptions,
    title="DBNet++",
    paper="Real-Time Scene Text Detection with Differentiable Binarization and Adaptive Scale Fusion",
    year=2022,
    family="real time",
    url="https://arxiv.org/abs/2202.10304",
    output=TextMaps,
    pretrained=True,
    code="https://github.com/MhLiao/DB",
    licence="Apache-2.0",
    good_for="DBNet for words of very different sizes in one image.",
    remark="Without the classifier and the convolution of the authors' backbone that nothing uses.",
    variants=VARIANTS,
)
