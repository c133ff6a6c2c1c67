"""FCN-8s: VGG16 with convolutions instead of its linear layers, and scores from three resolutions.

Paper: Fully Convolutional Networks for Semantic Segmentation (Long et al., CVPR 2015),
https://arxiv.org/abs/1411.4038. Authors' code, for Caffe:
https://github.com/shelhamer/fcn.berkeleyvision.org (BSD-2-Clause licence); the layers are also those of
https://github.com/wkentaro/pytorch-fcn (MIT licence).

What differs, and why: the transposed convolutions start as bilinear interpolation and are trained, as in the
second repository; the authors keep them fixed. Scores start small instead of at zero. A pretrained encoder
does not include the two linear layers.

Shape legend: B batch, C channels, K classes, H and W the image's height and width, h and w a map's.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from limner.core.config import Config
from limner.core.outputs import DenseLogits
from limner.layers.fcn_head import PixelClassifier
from limner.layers.initialization import init_classifier, initialize
from limner.networks.backbones import Pretrained, build_vgg
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width

BORDER = 99
"""Zeros around the image; with the first convolution's own, 100 as in the authors' code: any image is then
larger than the 7x7 kernel at stride 32."""
MIDDLE_CROP, FINE_CROP, IMAGE_CROP = 5, 9, 31
"""First pixel of the image in the scores at strides 16, 8 and 1, which follows from the border."""
FIRST_SIDE = 7
"""Kernel size of VGG16's first linear layer as a convolution."""


class FCN8sOptions(Config):
    """Options of `FCN8s`."""

    backbone: str = "vgg16"
    """`vgg11`, `vgg13`, `vgg16` or `vgg19`; with `_bn`, batch normalisation follows each convolution."""
    has_border: bool = True
    """Surround the image with zeros, as in the authors' code; otherwise only maps are padded, which is much
    faster for small images."""
    hidden: Width = 4096
    """Channels of the two convolutions that replace VGG's linear layers."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Channel dropout rate after each of the two."""


class FCN8s(nn.Module):
    """VGG, two wide convolutions, scores at strides 32, 16 and 8, transposed convolutions."""

    def __init__(
        self,
        options: FCN8sOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        super().__init__()
        self.backbone = build_vgg(options.backbone, in_channels=in_channels, pretrained=pretrained)
        fine, middle, deep = self.backbone.channels
        self._border = BORDER if options.has_border else 0
        padding = 0 if options.has_border else FIRST_SIDE // 2
        self.fc6 = nn.Conv2d(deep, options.hidden, FIRST_SIDE, padding=padding)
        self.fc7 = nn.Conv2d(options.hidden, options.hidden, 1)
        self.dropout = nn.Dropout2d(options.dropout)
        self.score_deep = PixelClassifier(options.hidden, num_classes)
        self.score_middle = PixelClassifier(middle, num_classes)
        self.score_fine = PixelClassifier(fine, num_classes)
        self.up_deep = _bilinear(num_classes, 2)
        self.up_middle = _bilinear(num_classes, 2)
        self.up_fine = _bilinear(num_classes, 8)
        initialize(self.fc6, self.fc7)
        for score in (self.score_deep, self.score_middle, self.score_fine):
            initialize(score)
            # Three scores are added, and no normalisation keeps the variance of the maps at one.
            init_classifier(score.conv.weight, inputs=9 * score.conv.weight[0].numel())

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H, W)."""
        fine, middle, deep = self.backbone(F.pad(images, [self._border] * 4))
        hidden = self.dropout(F.relu(self.fc6(deep)))
        hidden = self.dropout(F.relu(self.fc7(hidden)))
        scores = self.up_deep(self.score_deep(hidden))  # stride 16
        scores = self.up_middle(self._add(scores, self.score_middle(middle), MIDDLE_CROP))
        scores = self.up_fine(self._add(scores, self.score_fine(fine), FINE_CROP))
        start = IMAGE_CROP if self._border else 4
        return DenseLogits(_crop(scores, start, images.shape[2:]))

    def _add(self, coarse: torch.Tensor, fine: torch.Tensor, start: int) -> torch.Tensor:
        """Add upsampled scores and finer ones; of the larger map, the part is taken that the other covers."""
        if self._border:
            return coarse + _crop(fine, start, coarse.shape[2:])
        return _crop(coarse, 1, fine.shape[2:]) + fine


def _crop(features: torch.Tensor, start: int, size: torch.Size) -> torch.Tensor:
    return features[:, :, start : start + size[0], start : start + size[1]]


def _bilinear(channels: int, factor: int) -> nn.ConvTranspose2d:
    """Return a transposed convolution that interpolates each channel on its own, before training."""
    up = nn.ConvTranspose2d(channels, channels, 2 * factor, stride=factor, bias=False)
    place = torch.arange(2 * factor, dtype=torch.float32)
    side = 1 - (place - (factor - 0.5)).abs() / factor
    nn.init.zeros_(up.weight)
    with torch.no_grad():
        for channel in range(channels):
            up.weight[channel, channel] = side[:, None] * side
    return up


ENTRY = NetworkEntry(
    build=FCN8s,
    options=FCN8sOptions,
    title="FCN-8s",
    paper="Fully Convolutional Networks for Semantic Segmentation",
    year=2015,
    family="encoder-decoder",
    url="https://arxiv.org/abs/1411.4038",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/shelhamer/fcn.berkeleyvision.org",
    licence="BSD-2-Clause",
    good_for="Comparisons with the first paper of the field; `fcn` is smaller and more accurate.",
    variants={"vgg16": {}, "vgg16, batch normalisation": {"backbone": "vgg16_bn"}},
)
