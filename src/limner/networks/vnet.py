"""V-Net: a U-Net for volumes with 5x5x5 convolutions, residual stages and strided convolutions.

Paper: V-Net: Fully Convolutional Neural Networks for Volumetric Medical Image Segmentation (Milletari et al.,
3DV 2016), https://arxiv.org/abs/1606.04797. Reference: https://github.com/Project-MONAI/MONAI (Apache-2.0
licence), `VNet`; like the authors' Caffe network, it has fewer convolutions than the paper's figure.

What differs, and why: inputs of any size are padded with zeros at their end to multiples of 16; and the
channels of the image, which are repeated up to those of the first stage, need not divide them.

Shape legend: B batch, C input channels, D output channels, K classes, *S spatial axes.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from limner.core.config import Config
from limner.core.errors import ConfigError
from limner.core.outputs import DenseLogits
from limner.layers.activation import ActivationName, build_activation
from limner.layers.convolution import ConvNormAct
from limner.layers.dimensions import CONVOLUTION, DROPOUT, TRANSPOSED_CONVOLUTION
from limner.layers.fcn_head import PixelClassifier
from limner.layers.initialization import initialize
from limner.layers.norm import build_norm
from limner.layers.resize import cut, pad_to_multiple
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width

KERNEL = 5


class VNetOptions(Config):
    """Options of `VNet`."""

    width: Width = 16
    """Channels of the first stage; each further stage doubles them."""
    convs: Annotated[tuple[Width, ...], Field(min_length=1)] = (1, 2, 3, 2)
    """Number of convolutions of each stage of the encoder after the first."""
    decoder_convs: Annotated[tuple[Width, ...], Field(min_length=1)] = (2, 2, 1, 1)
    """Number of convolutions of each stage of the decoder, coarsest first."""
    activation: ActivationName = "elu"
    """Activation; the paper's is `prelu`."""
    conv_bias: bool = False
    """Whether the convolutions of the encoder and of the head have a bias."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Channel dropout rate of the skip connections and of the coarser half of the stages."""


class VNet(nn.Module):
    """V-Net in 2D or 3D."""

    def __init__(
        self, options: VNetOptions, *, num_classes: int, in_channels: int = 3, spatial_dims: int = 2
    ) -> None:
        super().__init__()
        depth = len(options.convs)
        if len(options.decoder_convs) != depth:
            raise ConfigError(
                f"vnet: decoder_convs needs as many numbers as convs, {depth}; "
                f"found {len(options.decoder_convs)}."
            )
        build = _Builder(options, spatial_dims)
        self._depth = depth
        self._width = options.width
        self.stem = build.conv(in_channels, options.width, activated=False)
        self.stem_act = build.activation(options.width)
        widths = [options.width * 2**level for level in range(depth + 1)]
        self.encoder = nn.ModuleList(
            _Down(build, narrow, count, drops=level >= depth / 2)
            for level, (narrow, count) in enumerate(zip(widths[:-1], options.convs, strict=True))
        )
        # The first stage keeps the channels of the bottleneck; each skip connection adds as many as come up.
        outputs = [2 * skip for skip in reversed(widths[:-1])]
        inputs = [widths[-1], *outputs[:-1]]
        self.decoder = nn.ModuleList(
            _Up(build, wide, out, count, drops=step < depth / 2)
            for step, (wide, out, count) in enumerate(
                zip(inputs, outputs, options.decoder_convs, strict=True)
            )
        )
        self.refine = build.conv(outputs[-1], num_classes)
        self.head = PixelClassifier(num_classes, num_classes, spatial_dims=spatial_dims)
        initialize(self)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, *S) float -> logits (B, K, *S)."""
        padded = pad_to_multiple(images, 2**self._depth)
        features = self.stem_act(self.stem(padded) + self._repeat(padded))
        skips = [features]
        for stage in self.encoder:
            skips.append(stage(skips[-1]))
        features = skips.pop()
        for stage in self.decoder:
            features = stage(features, skips.pop())
        return DenseLogits(cut(self.head(self.refine(features)), images.shape[2:]))

    def _repeat(self, images: torch.Tensor) -> torch.Tensor:
        """Repeat the channels up to those of the first stage; a single one is broadcast."""
        channels = images.shape[1]
        if channels == 1:
            return images
        times = [1, -(-self._width // channels), *[1] * (images.ndim - 2)]
        return images.repeat(times)[:, : self._width]


class _Builder:
    """Builds the layers that the stages have in common."""

    def __init__(self, options: VNetOptions, spatial_dims: int) -> None:
        self.options, self.dims = options, spatial_dims

    def conv(
        self, in_channels: int, out_channels: int, *, activated: bool = True, bias: bool | None = None
    ) -> ConvNormAct:
        return ConvNormAct(
            in_channels,
            out_channels,
            KERNEL,
            bias=self.options.conv_bias if bias is None else bias,
            activation=self.options.activation if activated else "none",
            spatial_dims=self.dims,
        )

    def convs(self, channels: int, count: int, *, bias: bool | None = None) -> nn.Sequential:
        return nn.Sequential(*(self.conv(channels, channels, bias=bias) for _ in range(count)))

    def activation(self, channels: int) -> nn.Module:
        return build_activation(self.options.activation, channels)

    def norm(self, channels: int) -> nn.Module:
        return build_norm("batch", channels, spatial_dims=self.dims)

    def dropout(self, *, drops: bool) -> nn.Module:
        rate = self.options.dropout
        return DROPOUT[self.dims](rate) if drops and rate else nn.Identity()


class _Down(nn.Module):
    """Halve the resolution and double the channels, then convolutions around which the map is added."""

    def __init__(self, build: _Builder, in_channels: int, count: int, *, drops: bool) -> None:
        super().__init__()
        channels = 2 * in_channels
        self.down = CONVOLUTION[build.dims](in_channels, channels, 2, stride=2, bias=build.options.conv_bias)
        self.norm = build.norm(channels)
        self.down_act = build.activation(channels)
        self.dropout = build.dropout(drops=drops)
        self.convs = build.convs(channels, count)
        self.act = build.activation(channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, C, *S) to (B, 2 C, *S / 2)."""
        down = self.down_act(self.norm(self.down(features)))
        out: torch.Tensor = self.act(self.convs(self.dropout(down)) + down)
        return out


class _Up(nn.Module):
    """Double the resolution, join the skip connection, then convolutions around which both are added."""

    def __init__(
        self, build: _Builder, in_channels: int, out_channels: int, count: int, *, drops: bool
    ) -> None:
        super().__init__()
        half = out_channels // 2
        self.dropout = build.dropout(drops=drops)
        self.skip_dropout = build.dropout(drops=True)
        self.up = TRANSPOSED_CONVOLUTION[build.dims](in_channels, half, 2, stride=2)
        self.norm = build.norm(half)
        self.up_act = build.activation(half)
        self.convs = build.convs(out_channels, count, bias=False)
        self.act = build.activation(out_channels)

    def forward(self, features: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Merge (B, C, *S) with (B, D / 2, *(2 S)) to (B, D, *(2 S))."""
        up = self.up_act(self.norm(self.up(self.dropout(features))))
        joined = torch.cat((up, self.skip_dropout(skip)), dim=1)
        out: torch.Tensor = self.act(self.convs(joined) + joined)
        return out


ENTRY = NetworkEntry(
    build=VNet,
    options=VNetOptions,
    title="V-Net",
    paper="V-Net: Fully Convolutional Neural Networks for Volumetric Medical Image Segmentation",
    year=2016,
    family="medical",
    url="https://arxiv.org/abs/1606.04797",
    output=DenseLogits,
    spatial_dims=(3, 2),
    code="https://github.com/Project-MONAI/MONAI",
    licence="Apache-2.0",
    good_for="Single organs in MR and CT; its large kernels need much memory and time.",
    variants={"": {}, "as in the paper": {"activation": "prelu"}, "half width": {"width": 8}},
)
