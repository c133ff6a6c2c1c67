"""PSPNet on the first stages of an encoder: pyramid pooling on a map of stride 8, without dilation.

Paper: Pyramid Scene Parsing Network (Zhao et al., CVPR 2017), https://arxiv.org/abs/1612.01105. The layers
are those of segmentation-models-pytorch's PSPNet (MIT licence), so weights can be exchanged; it omits the
encoder's last stages by default, which the paper dilates (`pspnet`).

Shape legend: B batch, C channels, K classes, H and W the image's height and width, h and w a map's, s the
stride of the last map that is used.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from limner.core.config import Config
from limner.core.errors import ConfigError
from limner.core.outputs import DenseLogits
from limner.layers.convolution import ConvNormAct
from limner.layers.fcn_head import PixelClassifier
from limner.layers.initialization import initialize
from limner.layers.resize import enlarge_aligned, resize
from limner.networks.backbones import Pretrained, build_backbone
from limner.networks.backbones.resnet import ResNet
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width

BINS = (1, 2, 3, 6)


class ShallowPSPNetOptions(Config):
    """Options of `ShallowPSPNet`."""

    backbone: str = "resnet34"
    """Any of limner's ResNets."""
    stride: Literal[4, 8, 16, 32] = 8
    """Stride of the map to classify; later stages of the encoder are omitted."""
    channels: Width = 512
    """Channels before the classifier."""
    enlarges_logits: bool = True
    """Return the logits at the size of the image, enlarged with aligned corners."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Channel dropout rate before the classifier."""


class ShallowPSPNet(nn.Module):
    """First stages of a backbone, pyramid pooling, classifier."""

    def __init__(
        self,
        options: ShallowPSPNetOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        """Build the network.

        Raises:
            ConfigError: The backbone is not a ResNet.
        """
        super().__init__()
        backbone = build_backbone(options.backbone, in_channels=in_channels, pretrained=pretrained)
        if not isinstance(backbone, ResNet):
            raise ConfigError(
                f"pspnet-shallow: later stages can be omitted only from limner's ResNets; found the backbone "
                f"{options.backbone!r}. Choose one such as resnet34 or resnet50d, or another network."
            )
        backbone.truncate(backbone.strides.index(options.stride) + 1)
        self.backbone = backbone
        width = self.backbone.channels[-1]
        narrow = width // len(BINS)
        # A single average has no variance in a batch of one, so segmentation-models-pytorch does not
        # normalise it.
        self.branches = nn.ModuleList(
            ConvNormAct(width, narrow, 1, norm="none" if side == 1 else "batch") for side in BINS
        )
        self.fusion = ConvNormAct(width + narrow * len(BINS), options.channels, 1)
        self.head = PixelClassifier(options.channels, num_classes, kernel_size=3, dropout=options.dropout)
        self._factor = options.stride if options.enlarges_logits else 1
        initialize(self.branches, self.fusion, self.head)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H, W), or at stride s if not enlarged."""
        features = self.backbone(images)[-1]
        size = features.shape[2:]
        levels = [
            resize(branch(F.adaptive_avg_pool2d(features, side)), size, align_corners=True)
            for side, branch in zip(BINS, self.branches, strict=True)
        ]
        logits = self.head(self.fusion(torch.cat((*levels, features), dim=1)))
        return DenseLogits(enlarge_aligned(logits, self._factor, images.shape[2:]))


ENTRY = NetworkEntry(
    build=ShallowPSPNet,
    options=ShallowPSPNetOptions,
    title="PSPNet without the last stages",
    paper="Pyramid Scene Parsing Network",
    year=2017,
    family="context",
    url="https://arxiv.org/abs/1612.01105",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/qubvel-org/segmentation_models.pytorch",
    licence="MIT",
    good_for="Very few operations; large regions whose boundaries do not matter.",
    variants={"resnet34": {}, "resnet18": {"backbone": "resnet18"}, "resnet50": {"backbone": "resnet50"}},
)
