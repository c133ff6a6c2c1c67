"""ResUNet: a U-Net of pre-activation residual units.

Paper: Road Extraction by Deep Residual U-Net (Zhang et al., GRSL 2018), https://arxiv.org/abs/1711.10684. The
authors published no code; the reference implementation is https://github.com/rishikksh20/ResUnet (no licence
stated; only its sizes were taken).

What differs, and why: as in that implementation, shortcuts are 3x3 convolutions and maps are upsampled by
transposed convolutions, where the paper's table has no weights for either (7.8 million instead of 13).
The output is logits, without the sigmoid.

Shape legend: B batch, C channels, K classes, *S spatial axes.
"""

from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from limner.core.config import Config
from limner.core.outputs import DenseLogits
from limner.layers.dimensions import TRANSPOSED_CONVOLUTION
from limner.layers.fcn_head import PixelClassifier
from limner.layers.initialization import init_classifier, initialize
from limner.layers.preactivation import PreActivationUnit
from limner.layers.resize import cut
from limner.networks.entry import NetworkEntry

Width = Annotated[int, Field(gt=0)]


class ResUNetOptions(Config):
    """Options of `ResUNet`."""

    widths: Annotated[tuple[Width, ...], Field(min_length=2)] = (64, 128, 256, 512)
    """Channels at each resolution from the finest to the coarsest."""
    shortcut_kernel: Literal[1, 3] = 3
    """Kernel size of the shortcuts; 1 is lighter."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Channel dropout rate before the classifier."""


class ResUNet(nn.Module):
    """Residual U-Net in 2D or 3D, of any width and depth."""

    def __init__(
        self, options: ResUNetOptions, *, num_classes: int, in_channels: int = 3, spatial_dims: int = 2
    ) -> None:
        super().__init__()
        widths, kernel = options.widths, options.shortcut_kernel
        self.stem = PreActivationUnit(
            in_channels,
            widths[0],
            first=True,
            shortcut_kernel=kernel,
            shortcut_norm=False,
            spatial_dims=spatial_dims,
        )
        self.encoder = nn.ModuleList(
            PreActivationUnit(narrow, wide, stride=2, shortcut_kernel=kernel, spatial_dims=spatial_dims)
            for narrow, wide in pairwise(widths)
        )
        self.ups = nn.ModuleList()
        self.decoder = nn.ModuleList()
        for wide, narrow in pairwise(reversed(widths)):
            self.ups.append(TRANSPOSED_CONVOLUTION[spatial_dims](wide, wide, 2, stride=2))
            self.decoder.append(
                PreActivationUnit(wide + narrow, narrow, shortcut_kernel=kernel, spatial_dims=spatial_dims)
            )
        self.head = PixelClassifier(
            widths[0], num_classes, dropout=options.dropout, spatial_dims=spatial_dims
        )
        initialize(self)
        # Its input, a sum without ReLU, has four times the variance of a map after ReLU.
        init_classifier(self.head.conv.weight, inputs=4 * widths[0])

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, *S) float -> logits (B, K, *S)."""
        skips = [self.stem(images)]
        for unit in self.encoder:
            skips.append(unit(skips[-1]))  # (B, C_level, *S / 2**level)
        features = skips.pop()
        for up, unit in zip(self.ups, self.decoder, strict=True):
            skip = skips.pop()
            features = unit(torch.cat((cut(up(features), skip.shape[2:]), skip), dim=1))
        return DenseLogits(self.head(features))


ENTRY = NetworkEntry(
    build=ResUNet,
    options=ResUNetOptions,
    title="ResUNet",
    paper="Road Extraction by Deep Residual U-Net",
    year=2018,
    family="encoder-decoder",
    url="https://arxiv.org/abs/1711.10684",
    output=DenseLogits,
    spatial_dims=(2, 3),
    code="https://github.com/rishikksh20/ResUnet",
    licence="none stated",
    good_for="Roads and other thin structures in aerial images, without pretrained weights.",
)
