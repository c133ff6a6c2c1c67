"""Encoders of whole images: any timm model, or a ResNet of limner, without its classifier.

Shape legend: B batch, C channels, H and W height and width, F features.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

import torch

from limner.networks.backbones.densenet import DENSENETS
from limner.networks.backbones.mit import MIX_TRANSFORMERS
from limner.networks.backbones.mpvit import MPVITS
from limner.networks.backbones.pretrained import Pretrained, load_pretrained
from limner.networks.backbones.resnet import ALL_RESNETS, RESNETS, ResNet
from limner.networks.backbones.swin import SWINS

if TYPE_CHECKING:
    from limner.networks.backbones.timm_encoder import TimmEncoder

IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""Statistics of RGB in 0..255 that most pretrained encoders expect (torchvision's documentation)."""

TRAINED_ON_IMAGENET = frozenset((*RESNETS, *DENSENETS, *MIX_TRANSFORMERS, *MPVITS, *SWINS))
"""Names of encoders whose published weights expect these statistics."""

Statistics = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation of each channel, in 0..255."""


class ResNetEncoder(ResNet):
    """ResNet that returns the mean of its last feature map.

    Attributes:
        width: F.
    """

    def __init__(self, name: str, *, in_channels: int = 3) -> None:
        super().__init__(ALL_RESNETS[name], in_channels=in_channels)
        self.width = self.channels[-1]

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """Map (B, C, H, W) to (B, F)."""
        return super().forward(images)[-1].mean((2, 3))


def build_encoder(
    name: str, *, in_channels: int = 3, pretrained: Pretrained = False
) -> "ResNetEncoder | TimmEncoder":
    """Build an encoder by name.

    Args:
        name: ``resnet18`` and its family, of which ``resnet18_width16`` is a narrow one, or any timm model.
        in_channels: Channels of the image.
        pretrained: Whether to load pretrained weights, and from where.

    Raises:
        UnknownNameError: The encoder does not exist.
        ConfigError: Required weights are unavailable.
        ModelError: The weight file is damaged or belongs to another model.
    """
    architecture = name.split(".")[0]
    if architecture in ALL_RESNETS:
        encoder: ResNetEncoder | TimmEncoder = ResNetEncoder(architecture, in_channels=in_channels)
    else:
        encoder = _timm_encoder(name, in_channels)
    load_pretrained(encoder, name, pretrained, in_channels=in_channels)
    return encoder


def _timm_encoder(name: str, in_channels: int) -> "TimmEncoder":
    from limner.networks.backbones.timm_encoder import TimmEncoder  # timm is slow to import

    return TimmEncoder(name, in_channels=in_channels)


@lru_cache
def input_statistics(name: str) -> Statistics:
    """Return the statistics with which the published weights of an encoder normalise their input.

    Other statistics cost much of the accuracy of frozen features. Encoders that timm does not have get those
    of ImageNet.
    """
    if name in TRAINED_ON_IMAGENET:
        return IMAGENET_MEAN, IMAGENET_STD
    import timm  # slow to import

    known = timm.get_pretrained_cfg(name) if timm.is_model(name.split(".")[0]) else None
    if known is None:
        return IMAGENET_MEAN, IMAGENET_STD
    return tuple(255 * value for value in known.mean), tuple(255 * value for value in known.std)


@lru_cache
def imagenet_names() -> tuple[str, ...]:
    """Return the names of the 1000 classes of ImageNet-1k in the usual order, in timm's words.

    Of synonyms the first is taken; a name that several classes have is followed by their number.
    """
    from timm.data.imagenet_info import ImageNetInfo  # slow to import

    words = [text.split(",")[0].strip() for text in ImageNetInfo("imagenet-1k").label_descriptions()]
    return tuple(f"{word} ({i})" if words.count(word) > 1 else word for i, word in enumerate(words))


def is_encoder(name: str) -> bool:
    """Return whether `build_encoder` knows a name."""
    if name.split(".")[0] in ALL_RESNETS:
        return True
    import timm  # slow to import

    return bool(timm.is_model(name.split(".")[0]))
