"""SegNet: the decoder unpools with the encoder's max-pooling indices, then convolves.

Paper: SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image Segmentation (Badrinarayanan et
al., TPAMI 2017), https://arxiv.org/abs/1511.00561. Authors' models for Caffe:
https://github.com/alexgkendall/SegNet-Tutorial (research use).

What differs, and why: nothing. Unpooling restores odd sizes, so any input size works.

Shape legend: B batch, C channels, K classes, H and W the input's height and width, h and w a map's.
"""

from typing import Annotated

import torch
from pydantic import Field, model_validator
from torch import nn
from torch.nn import functional as F

from limner.core.config import Config
from limner.core.outputs import DenseLogits
from limner.layers.convolution import ConvNormAct
from limner.layers.fcn_head import PixelClassifier
from limner.layers.initialization import initialize
from limner.networks.entry import NetworkEntry

Width = Annotated[int, Field(gt=0)]


class SegNetOptions(Config):
    """Options of `SegNet`."""

    widths: Annotated[tuple[Width, ...], Field(min_length=1, max_length=5)] = (64, 128, 256, 512, 512)
    """Channels of each block, finest first; each block ends with 2x2 pooling."""
    convs: Annotated[tuple[Width, ...], Field(min_length=1, max_length=5)] = (2, 2, 3, 3, 3)
    """Number of 3x3 convolutions of each block, in the encoder and again in the decoder."""

    @model_validator(mode="after")
    def _check_lengths(self) -> "SegNetOptions":
        if len(self.widths) != len(self.convs):
            raise ValueError(
                f"widths and convs must have the same length; found {len(self.widths)} widths and "
                f"{len(self.convs)} convs"
            )
        return self


class SegNet(nn.Module):
    """The convolutions of VGG16, and their mirror image as decoder."""

    def __init__(self, options: SegNetOptions, *, num_classes: int, in_channels: int = 3) -> None:
        super().__init__()
        widths = options.widths
        self.encoder = nn.ModuleList(
            _convolutions(narrow, [wide] * depth)
            for narrow, wide, depth in zip((in_channels, *widths), widths, options.convs, strict=False)
        )
        # A block's last convolution outputs the width of the next finer block; that of the finest is the
        # head.
        self.decoder = nn.ModuleList(
            _convolutions(wide, [wide] * (depth - 1) + ([finer] if finer else []))
            for wide, finer, depth in zip(
                widths[::-1], (*widths[-2::-1], None), options.convs[::-1], strict=True
            )
        )
        self.head = PixelClassifier(widths[0], num_classes, kernel_size=3)
        initialize(self)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H, W)."""
        features, places = images, []
        for block in self.encoder:
            features = block(features)
            size = features.shape[2:]
            features, indices = F.max_pool2d(features, 2, return_indices=True)
            places.append((indices, size))
        for block in self.decoder:
            indices, size = places.pop()
            features = block(F.max_unpool2d(features, indices, [2, 2], output_size=size))
        return DenseLogits(self.head(features))


def _convolutions(in_channels: int, widths: list[int]) -> nn.Sequential:
    return nn.Sequential(
        *(
            ConvNormAct(narrow, wide, bias=True)
            for narrow, wide in zip((in_channels, *widths), widths, strict=False)
        )
    )


ENTRY = NetworkEntry(
    build=SegNet,
    options=SegNetOptions,
    title="SegNet",
    paper="SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image Segmentation",
    year=2017,
    family="encoder-decoder",
    url="https://arxiv.org/abs/1511.00561",
    output=DenseLogits,
    code="https://github.com/alexgkendall/SegNet-Tutorial",
    licence="research use",
    good_for="Comparisons with older work; sharp boundaries with little memory in the decoder.",
)
