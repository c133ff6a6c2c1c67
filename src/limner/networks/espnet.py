"""ESPNet: spatial pyramids of five dilated convolutions on a narrow map, for small devices.

Paper: ESPNet: Efficient Spatial Pyramid of Dilated Convolutions for Semantic Segmentation (Mehta et al., ECCV
2018), https://arxiv.org/abs/1803.06815. Authors' code: https://github.com/sacmehta/ESPNet (MIT licence).

What differs, and why: nothing for inputs whose sides are multiples of 8; for others the upsampled maps are
cropped to the encoder's sizes. The decoder has one channel per class, and with fewer than five classes
uses as many dilations as classes, the smallest first. `decoder=False` is the paper's ESPNet-C.

Shape legend: B batch, C channels, K classes, H and W the input's height and width, h and w a map's.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from limner.core.config import Config
from limner.core.outputs import DenseLogits
from limner.layers.initialization import init_classifier, initialize
from limner.layers.norm import TolerantBatchNorm2d
from limner.layers.resize import cut
from limner.networks.entry import NetworkEntry

Width = Annotated[int, Field(gt=0)]

DILATIONS = (1, 2, 4, 8, 16)
EPSILON = 1e-3  # of all normalisations, as in the authors' code


Count = Annotated[int, Field(ge=0)]


class ESPNetOptions(Config):
    """Options of `ESPNet`."""

    stem_width: Width = 16
    """Channels of the first convolution."""
    widths: tuple[Width, Width] = (64, 128)
    """Channels at strides 4 and 8."""
    blocks: tuple[Count, Count] = (2, 8)
    """Number of blocks at strides 4 and 8: alpha 2 and alpha 3 in the paper."""
    decoder: bool = True
    """Restore the input's resolution; without it the network is ESPNet-C, whose logits have stride 8."""


class ESPNet(nn.Module):
    """Encoder of spatial pyramids with the downsampled image at each stride; decoder of class scores."""

    def __init__(self, options: ESPNetOptions, *, num_classes: int, in_channels: int = 3) -> None:
        super().__init__()
        stem, (fine, coarse) = options.stem_width, options.widths
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, stem, 3, stride=2, padding=1, bias=False), *_norm_act(stem)
        )
        self.shrink = nn.AvgPool2d(3, stride=2, padding=1)
        self.join1 = _norm_act(stem + in_channels)
        self.down2 = _PyramidBlock(stem + in_channels, fine, stride=2)
        self.level2 = nn.Sequential(
            *(_PyramidBlock(fine, fine, residual=True) for _ in range(options.blocks[0]))
        )
        self.join2 = _norm_act(2 * fine + in_channels)
        self.down3 = _PyramidBlock(2 * fine + in_channels, coarse, stride=2)
        self.level3 = nn.Sequential(
            *(_PyramidBlock(coarse, coarse, residual=True) for _ in range(options.blocks[1]))
        )
        self.join3 = _norm_act(2 * coarse)
        self.classifier = nn.Conv2d(2 * coarse, num_classes, 1, bias=False)
        self.decoder = (
            _Decoder((stem + in_channels, 2 * fine + in_channels), num_classes) if options.decoder else None
        )
        initialize(self)
        if self.decoder is None:
            init_classifier(self.classifier.weight, inputs=2 * coarse)
        else:
            init_classifier(self.decoder.classifier.weight, inputs=num_classes)  # one input per pixel

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H, W), or (B, K, H / 8, W / 8)."""
        half_image = self.shrink(images)
        half = self.join1(torch.cat((self.stem(images), half_image), dim=1))  # (B, 16 + C, H / 2, W / 2)
        first = self.down2(half)
        quarter = self.join2(torch.cat((self.level2(first), first, self.shrink(half_image)), dim=1))
        first = self.down3(quarter)
        eighth = self.join3(torch.cat((first, self.level3(first)), dim=1))  # (B, 256, H / 8, W / 8)
        logits = self.classifier(eighth)
        if self.decoder is None:
            return DenseLogits(logits)
        return DenseLogits(self.decoder(half, quarter, logits, images.shape[2:]))


class _PyramidBlock(nn.Module):
    """ESP module: reduce, convolve at five dilations in parallel, merge.

    The outputs of dilations above one are summed from the smallest to the largest, which removes the
    gridding artefacts of dilated convolutions.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int = 1, residual: bool = False
    ) -> None:
        super().__init__()
        dilations = DILATIONS[:out_channels]
        width = out_channels // len(dilations)
        nearest = out_channels - (len(dilations) - 1) * width  # dilation 1 gets the remainder
        side = 1 if stride == 1 else 3
        self.reduce = nn.Conv2d(in_channels, width, side, stride=stride, padding=side // 2, bias=False)
        self.branches = nn.ModuleList(
            nn.Conv2d(width, width if index else nearest, 3, padding=dilation, dilation=dilation, bias=False)
            for index, dilation in enumerate(dilations)
        )
        self.close = _norm_act(out_channels)
        self.residual = residual

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to (B, D, h / stride, w / stride)."""
        reduced = self.reduce(features)
        parts = [branch(reduced) for branch in self.branches]
        for index in range(2, len(parts)):
            parts[index] = parts[index] + parts[index - 1]
        merged = torch.cat(parts, dim=1)
        if self.residual:
            merged += features
        out: torch.Tensor = self.close(merged)
        return out


class _Decoder(nn.Module):
    """Upsample the scores three times; merge the finer maps, projected to one channel per class."""

    def __init__(self, finer: tuple[int, int], num_classes: int) -> None:
        super().__init__()
        half, quarter = finer
        # In the order of the authors' weights.
        self.lateral = nn.Conv2d(quarter, num_classes, 1, bias=False)
        self.norm = TolerantBatchNorm2d(num_classes, eps=EPSILON)
        self.fuse = nn.Sequential(
            nn.Conv2d(half + num_classes, num_classes, 3, padding=1, bias=False), *_norm_act(num_classes)
        )
        self.up3 = _double(num_classes)
        self.join = nn.Sequential(*_norm_act(2 * num_classes), _PyramidBlock(2 * num_classes, num_classes))
        self.up2 = _double(num_classes)
        self.close = _norm_act(num_classes)
        self.classifier = _double(num_classes)

    def forward(
        self, half: torch.Tensor, quarter: torch.Tensor, logits: torch.Tensor, size: torch.Size
    ) -> torch.Tensor:
        """Map the scores of stride 8 to (B, K, *size)."""
        coarse = cut(self.up3(self.norm(logits)), quarter.shape[2:])
        coarse = self.join(torch.cat((self.lateral(quarter), coarse), dim=1))
        coarse = self.close(cut(self.up2(coarse), half.shape[2:]))
        return cut(self.classifier(self.fuse(torch.cat((coarse, half), dim=1))), size)


def _norm_act(channels: int) -> nn.Sequential:
    return nn.Sequential(TolerantBatchNorm2d(channels, eps=EPSILON), nn.PReLU(channels))


def _double(channels: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels, channels, 2, stride=2, bias=False)


ENTRY = NetworkEntry(
    build=ESPNet,
    options=ESPNetOptions,
    title="ESPNet",
    paper="ESPNet: Efficient Spatial Pyramid of Dilated Convolutions for Semantic Segmentation",
    year=2018,
    family="real time",
    url="https://arxiv.org/abs/1803.06815",
    output=DenseLogits,
    code="https://github.com/sacmehta/ESPNet",
    licence="MIT",
    good_for="Small devices: as few parameters as ENet and more context; even faster as ESPNet-C.",
    variants={
        "": {},
        "shallow": {"blocks": (2, 3)},
        "ESPNet-C": {"decoder": False},
    },
)
