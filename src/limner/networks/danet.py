"""DANet: two parallel attention modules, between all pixels and between all channels.

Paper: Dual Attention Network for Scene Segmentation (Fu et al., CVPR 2019), https://arxiv.org/abs/1809.02983.
Authors' code: https://github.com/junfu1115/DANet (MIT licence).

What differs by default, and why: no multi-grid, the narrower deep stem and an auxiliary head on the
second-to-last map, as in mmsegmentation (Apache-2.0), so its published scores apply. The authors use
multi-grid (1, 2, 4) and no such head.

Shape legend: B batch, C channels, K classes, h and w the map's height and width.
"""

import torch
from torch import nn

from limner.core.outputs import AuxiliaryLogits, DenseLogits
from limner.devices.precision import without_autocast
from limner.layers.convolution import ConvNormAct
from limner.layers.fcn_head import PixelClassifier
from limner.layers.initialization import initialize
from limner.layers.pixel_attention import attend
from limner.networks.backbones import Pretrained
from limner.networks.context_network import AlignedOptions, ContextNetwork
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width


class DANetOptions(AlignedOptions):
    """Options of `DANet`."""

    attention_channels: Width | None = None
    """Channels of queries and keys; defaults to an eighth of the head's."""


class DANet(ContextNetwork):
    """Dilated backbone, position and channel attention, a classifier on each and on their sum."""

    def __init__(
        self,
        options: DANetOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        super().__init__(options, num_classes=num_classes, in_channels=in_channels, pretrained=pretrained)
        compared = options.attention_channels or max(self.channels // 8, 1)
        self.position = self._branch(PositionAttention(self.channels, compared))
        self.channel = self._branch(ChannelAttention())
        self.position_head = PixelClassifier(self.channels, num_classes, dropout=options.dropout)
        self.channel_head = PixelClassifier(self.channels, num_classes, dropout=options.dropout)
        initialize(self.position, self.channel, self.position_head, self.channel_head)

    def _branch(self, attention: nn.Module) -> nn.Sequential:
        return nn.Sequential(
            ConvNormAct(self.deep, self.channels), attention, ConvNormAct(self.channels, self.channels)
        )

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H / s, W / s)."""
        *_, middle, deep = self.backbone(images)
        position, channel = self.position(deep), self.channel(deep)
        logits = self.scores(position + channel, images)
        if not self.training:
            return DenseLogits(logits)
        # Section 3.5 of the paper: both attentions are supervised like their sum.
        sides = (
            AuxiliaryLogits(self.position_head(position), 1.0),
            AuxiliaryLogits(self.channel_head(channel), 1.0),
        )
        return DenseLogits(logits, (*sides, *self.auxiliary_logits(middle)))


class PositionAttention(nn.Module):
    """Self-attention between pixels; initialised to the identity."""

    def __init__(self, channels: int, compared: int) -> None:
        """Build the module; queries and keys have `compared` channels."""
        super().__init__()
        self.query = nn.Conv2d(channels, compared, 1)
        self.key = nn.Conv2d(channels, compared, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to (B, C, h, w)."""
        context = attend(self.query(x), self.key(x), self.value(x), scale=1.0)
        return torch.addcmul(x, self.gamma.to(context.dtype), context)


class ChannelAttention(nn.Module):
    """Attention between channels, which favours those that differ; initialised to the identity."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to (B, C, h, w)."""
        # Sums over all pixels exceed the range of float16.
        with without_autocast(x.device):
            pixels = x.flatten(2).float()  # (B, C, h * w)
            likeness = pixels @ pixels.transpose(1, 2)  # (B, C, C)
            # As in the authors' code: the row's maximum minus each product, so unlike channels weigh most.
            weights = (likeness.amax(dim=-1, keepdim=True) - likeness).softmax(dim=-1)
            context = (weights @ pixels).view_as(x)
        return (x + self.gamma * context).to(x.dtype)


ENTRY = NetworkEntry(
    build=DANet,
    options=DANetOptions,
    title="DANet",
    paper="Dual Attention Network for Scene Segmentation",
    year=2019,
    family="context",
    url="https://arxiv.org/abs/1809.02983",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/junfu1115/DANet",
    licence="MIT",
    good_for="Scenes with distant regions of one class; memory grows with the square of the pixel count.",
    variants={
        "resnet50c": {},
        "resnet18c": {"backbone": "resnet18c"},
        "resnet101c": {"backbone": "resnet101c"},
        "resnet101s, as in the paper": {
            "backbone": "resnet101s",
            "dilation": "uniform",
            "multi_grid": (1, 2, 4),
            "auxiliary": False,
        },
    },
)
