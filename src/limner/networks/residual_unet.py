"""Residual U-Net of MONAI: strided residual units down, transposed convolutions and a residual unit up.

Paper: Left-Ventricle Quantification Using Residual U-Net (Kerfoot et al., STACOM 2018),
https://doi.org/10.1007/978-3-030-12029-0_40. Reference: https://github.com/Project-MONAI/MONAI (Apache-2.0
licence), `UNet`.

What differs, and why: inputs of any size are padded with zeros at their end to multiples of the strides.

Shape legend: B batch, C input channels, D output channels, K classes, *S spatial axes, *s those of the
output.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from limner.core.config import Config
from limner.core.outputs import DenseLogits
from limner.layers.activation import ActivationName, build_activation
from limner.layers.dimensions import CONVOLUTION, TRANSPOSED_CONVOLUTION
from limner.layers.dropout import Dropout
from limner.layers.initialization import init_classifier, initialize, initialize_transposed
from limner.layers.norm import NormName, build_norm
from limner.layers.resize import cut, pad_to_multiple
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import OddSide, Width
from limner.networks.stages import PerStageAndAxis, divisors, sizes_of_stages


class ResidualUNetOptions(Config):
    """Options of `ResidualUNet`."""

    widths: Annotated[tuple[Width, ...], Field(min_length=2)] = (16, 32, 64, 128, 256)
    """Channels of each level, finest first; the last is the bottom, which does not change the resolution."""
    strides: PerStageAndAxis | None = None
    """Stride of each level but the bottom, one number or one for each axis; defaults to 2."""
    kernel: OddSide = 3
    """Kernel size of the convolutions."""
    up_kernel: OddSide = 3
    """Kernel size of the transposed convolutions."""
    units: Annotated[int, Field(ge=0)] = 2
    """Number of convolutions of each residual unit; 0 has single convolutions without residuals."""
    conv_bias: bool = True
    """Whether convolutions have a bias."""
    norm: NormName = "instance"
    """Normalisation after each convolution."""
    norm_affine: bool = False
    """Whether the normalisation learns a scale and a shift."""
    activation: ActivationName = "prelu"
    """Activation of each block; `prelu` has one slope."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout rate after each normalisation, of single values."""


class ResidualUNet(nn.Module):
    """Residual U-Net in 2D or 3D."""

    def __init__(
        self, options: ResidualUNetOptions, *, num_classes: int, in_channels: int = 3, spatial_dims: int = 2
    ) -> None:
        super().__init__()
        widths = options.widths
        strides = sizes_of_stages(options.strides, [2] * (len(widths) - 1), spatial_dims, "strides")
        build = _Builder(options, spatial_dims)
        self.multiple = divisors(strides)
        still = (1,) * spatial_dims
        self.encoder = nn.ModuleList(
            build.down(narrow, wide, stride)
            for (narrow, wide), stride in zip(
                pairwise((in_channels, *widths)), [*strides, still], strict=True
            )
        )
        below = [2 * width for width in widths[:-2]] + [widths[-2] + widths[-1]]
        outputs = (num_classes, *widths[:-2])
        self.decoder = nn.ModuleList(
            build.up(below[level], outputs[level], strides[level], is_last=level == 0)
            for level in reversed(range(len(strides)))
        )
        initialize(self)
        initialize_transposed(self)
        # All classes shall be about equally likely at first. With residuals, the last layer adds to maps that
        # are normalised, and so large already.
        weight = list(self.decoder[-1].parameters())[-1 - options.conv_bias]
        init_classifier(weight, inputs=100 * weight[0].numel() if options.units else 2 * below[0])

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, *S) float -> logits (B, K, *S)."""
        features = pad_to_multiple(images, self.multiple)
        maps = []
        for stage in self.encoder:
            features = stage(features)
            maps.append(features)
        features = maps.pop()
        for stage in self.decoder:
            features = stage(torch.cat((maps.pop(), features), dim=1))
        return DenseLogits(cut(features, images.shape[2:]))


class _Builder:
    """Builds the layers that the levels have in common."""

    def __init__(self, options: ResidualUNetOptions, spatial_dims: int) -> None:
        self.options, self.dims = options, spatial_dims

    def conv(
        self, in_channels: int, out_channels: int, stride: Sequence[int] = (), *, side: int | None = None
    ) -> nn.Module:
        kernel = side or self.options.kernel
        return CONVOLUTION[self.dims](
            in_channels,
            out_channels,
            kernel,
            stride=tuple(stride) or 1,  # type: ignore[arg-type] # of 2 or 3 numbers
            padding=kernel // 2,
            bias=self.options.conv_bias,
        )

    def after(self, channels: int) -> list[nn.Module]:
        """Return normalisation, dropout and activation."""
        options = self.options
        norm = build_norm(options.norm, channels, spatial_dims=self.dims, affine=options.norm_affine)
        dropout = Dropout(options.dropout) if options.dropout else nn.Identity()
        return [norm, dropout, build_activation(options.activation)]

    def down(self, in_channels: int, out_channels: int, stride: Sequence[int]) -> nn.Module:
        if not self.options.units:
            return nn.Sequential(self.conv(in_channels, out_channels, stride), *self.after(out_channels))
        parts: list[nn.Module] = []
        for unit in range(self.options.units):
            narrow, step = (out_channels, ()) if unit else (in_channels, stride)
            parts += [self.conv(narrow, out_channels, step), *self.after(out_channels)]
        shortcut: nn.Module = nn.Identity()
        if any(step != 1 for step in stride):
            shortcut = self.conv(in_channels, out_channels, stride)
        elif in_channels != out_channels:
            shortcut = self.conv(in_channels, out_channels, side=1)
        return _Residual(parts, shortcut)

    def up(self, in_channels: int, out_channels: int, stride: Sequence[int], *, is_last: bool) -> nn.Module:
        kernel = self.options.up_kernel
        up = TRANSPOSED_CONVOLUTION[self.dims](
            in_channels,
            out_channels,
            kernel,
            stride=tuple(stride),  # type: ignore[arg-type]
            padding=kernel // 2,
            output_padding=tuple(step - 1 for step in stride),  # type: ignore[arg-type]
            bias=self.options.conv_bias,
        )
        if not self.options.units:
            return up if is_last else nn.Sequential(up, *self.after(out_channels))
        parts = [self.conv(out_channels, out_channels), *([] if is_last else self.after(out_channels))]
        return nn.Sequential(nn.Sequential(up, *self.after(out_channels)), _Residual(parts, nn.Identity()))


class _Residual(nn.Module):
    """Convolutions plus the input, which a convolution projects if channels or resolution change."""

    def __init__(self, parts: Sequence[nn.Module], shortcut: nn.Module) -> None:
        super().__init__()
        self.branch = nn.Sequential(*parts)
        self.shortcut = shortcut

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, C, *S) to (B, D, *s)."""
        out: torch.Tensor = self.branch(features) + self.shortcut(features)
        return out


ENTRY = NetworkEntry(
    build=ResidualUNet,
    options=ResidualUNetOptions,
    title="Residual U-Net (MONAI)",
    paper="Left-Ventricle Quantification Using Residual U-Net",
    year=2018,
    family="medical",
    url="https://doi.org/10.1007/978-3-030-12029-0_40",
    output=DenseLogits,
    spatial_dims=(3, 2),
    code="https://github.com/Project-MONAI/MONAI",
    licence="Apache-2.0",
    good_for="Volumes on small machines, since its finest convolutions run at half resolution.",
    variants={"": {}, "without residuals": {"units": 0}},
)
