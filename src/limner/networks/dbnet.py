"""DBNet: text detection by the cores of words, whose threshold is learned for each pixel.

Paper: Real-time Scene Text Detection with Differentiable Binarization (Liao et al., AAAI 2020),
https://arxiv.org/abs/1911.08947. Authors' code: https://github.com/MhLiao/DB (Apache-2.0 licence).

What differs, and why: the authors' ResNet has a classifier and a convolution that nothing uses, which are
left out; the offsets of a deformable convolution with stride 2 are computed with stride 2 instead of 1, which
needs no resampling; the last layers start with small weights, so that at first every pixel has a probability
of about 0.5. Upsampling goes to the size of the next level, so that odd sizes of images work.

Shape legend: B batch, C channels, K kinds of text, H and W the input's height and width, h and w those of the
finest level at stride 4.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from limner.core.config import Config
from limner.core.errors import ConfigError
from limner.core.outputs import TextMaps
from limner.layers.convolution import ConvNormAct
from limner.layers.deformable_convolution import DeformableConv2d
from limner.layers.initialization import init_classifier, initialize
from limner.layers.norm import build_norm
from limner.networks.backbones import Pretrained, build_backbone
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width

NUM_LEVELS = 4
"""Strides 4, 8, 16 and 32."""


class DBNetOptions(Config):
    """Options of `DBNet`."""

    backbone: str = "resnet18"
    """Any of limner's ResNets, or a timm model with feature maps at strides 4, 8, 16 and 32."""
    channels: Width = 256
    """Channels of the pyramid and of the fused map; a multiple of 4."""
    deformable: bool = False
    """Deformable 3x3 convolutions in the last three stages of a ResNet, as in the paper."""


class DBNet(nn.Module):
    """Backbone, feature pyramid, its levels side by side at stride 4, and two heads at full size.

    Raises:
        ConfigError: The backbone has other strides, or cannot be deformable.
    """

    def __init__(
        self,
        options: DBNetOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        super().__init__()
        channels, part = options.channels, options.channels // NUM_LEVELS
        if channels % NUM_LEVELS:
            raise ConfigError(f"dbnet: channels must be a multiple of {NUM_LEVELS}; found {channels}.")
        self.backbone = build_backbone(options.backbone, in_channels=in_channels, pretrained=pretrained)
        widths = self.backbone.channels[-NUM_LEVELS:]
        if self.backbone.strides[-NUM_LEVELS:] != (4, 8, 16, 32):
            raise ConfigError(
                f"dbnet needs a backbone with strides 4, 8, 16 and 32; {options.backbone} has "
                f"{', '.join(map(str, self.backbone.strides))}."
            )
        if options.deformable:
            make_deformable(self.backbone, name=options.backbone)
        self.laterals = nn.ModuleList(nn.Conv2d(width, channels, 1, bias=False) for width in widths)
        self.smoothing = nn.ModuleList(
            nn.Conv2d(channels, part, 3, padding=1, bias=False) for _ in range(NUM_LEVELS)
        )
        self.probability_head = MapHead(channels, part, num_classes)
        self.threshold_head = MapHead(channels, part, num_classes)
        initialize(self.laterals, self.smoothing)

    def forward(self, images: Tensor) -> TextMaps:
        """Map (B, C, H, W) float to logits (B, K, H, W) of probabilities and, in training, thresholds."""
        fused = self.fuse(self.pyramid(self.backbone(images)[-NUM_LEVELS:]))  # (B, channels, h, w)
        height, width = images.shape[2:]
        # A map of 4 h x 4 w begins at the image's first pixel, and may end up to 3 pixels after its last.
        logits = self.probability_head(fused)[..., :height, :width]
        if not self.training:
            return TextMaps(logits)
        return TextMaps(logits, self.threshold_head(fused)[..., :height, :width])

    def pyramid(self, maps: tuple[Tensor, ...]) -> list[Tensor]:
        """Return the levels (B, channels / 4, h, w), coarsest first, from the maps of the backbone."""
        sizes = [features.shape[2:] for features in maps]
        levels = [lateral(features) for lateral, features in zip(self.laterals, maps, strict=True)]
        for fine, coarse in reversed(list(pairwise(range(len(levels))))):
            levels[fine] = levels[fine] + F.interpolate(levels[coarse], size=sizes[fine], mode="nearest")
        smoothed = [smoothing(level) for smoothing, level in zip(self.smoothing, levels, strict=True)]
        return [F.interpolate(level, size=sizes[0], mode="nearest") for level in reversed(smoothed)]

    def fuse(self, levels: list[Tensor]) -> Tensor:
        """Return one map (B, channels, h, w) from the levels of the pyramid."""
        return torch.cat(levels, 1)


class MapHead(nn.Sequential):
    """A 3x3 convolution, then two transposed convolutions that double height and width."""

    def __init__(self, in_channels: int, channels: int, num_maps: int) -> None:
        last = nn.ConvTranspose2d(channels, num_maps, 2, stride=2)
        upsampling = nn.ConvTranspose2d(channels, channels, 2, stride=2)
        first = ConvNormAct(in_channels, channels)
        super().__init__(first, upsampling, build_norm("batch", channels), nn.ReLU(inplace=True), last)
        initialize(first)
        # With stride 2 and a kernel of 2, a value is the sum over the channels of one pixel: He's variance.
        nn.init.normal_(upsampling.weight, std=(2 / channels) ** 0.5)
        init_classifier(last.weight, inputs=channels)
        for layer in (upsampling, last):
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)


def make_deformable(backbone: nn.Module, *, name: str) -> None:
    """Replace the 3x3 convolution in each block of the last three stages of a ResNet, the second of two.

    Args:
        backbone: A ResNet of limner, which is changed; weights are kept.
        name: Its name, for messages.

    Raises:
        ConfigError: The backbone is not a ResNet.
        MissingPartError: torchvision is not installed.
    """
    blocks = list(_residual_blocks(backbone))
    if not blocks:
        raise ConfigError(
            f"Deformable convolutions are for limner's ResNets, such as resnet50; found {name}. "
            "Set network.options.deformable to false, or choose a ResNet."
        )
    for block in blocks:
        block.conv2 = DeformableConv2d(block.conv2)  # type: ignore[arg-type]


def _residual_blocks(backbone: nn.Module) -> Iterator[nn.Module]:
    for stage in ("layer2", "layer3", "layer4"):
        for block in getattr(backbone, stage, ()):
            if isinstance(getattr(block, "conv2", None), nn.Conv2d):
                yield block


VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "resnet18": {},
    "resnet50": {"backbone": "resnet50"},
    "resnet18, deformable": {"deformable": True},
    "resnet50, deformable": {"backbone": "resnet50", "deformable": True},
}

ENTRY = NetworkEntry(
    build=DBNet,
    options=DBNetOptions,
    title="DBNet",
    paper="Real-time Scene Text Detection with Differentiable Binarization",
    year=2020,
    family="real time",
    url="https://arxiv.org/abs/1911.08947",
    output=TextMaps,
    pretrained=True,
    code="https://github.com/MhLiao/DB",
    licence="Apache-2.0",
    good_for="Words in photographs, of any orientation and curved ones; fast.",
    remark="Without the classifier and the convolution of the authors' backbone that nothing uses.",
    variants=VARIANTS,
)
