"""Residual blocks of UNETR and of MONAI's DynUNet: two convolutions, and a 1x1 one around them where needed.

Reference: `UnetResBlock` and `UnetrUpBlock` of https://github.com/Project-MONAI/MONAI (Apache-2.0 licence).

Shape legend: B batch, C input channels, D output channels, *S spatial axes, *s those of the output.
"""

from collections.abc import Sequence

import torch
from torch import nn

from limner.layers.activation import build_activation
from limner.layers.anisotropic_convolution import AnisotropicConv, ConvStyle, stack_convs
from limner.layers.dimensions import TRANSPOSED_CONVOLUTION


class ResidualBlock(nn.Module):
    """Two convolutions plus the input, which a 1x1 convolution projects if channels or stride change."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Sequence[int],
        *,
        stride: Sequence[int] | None = None,
        style: ConvStyle,
    ) -> None:
        """Build the block; the arguments are those of `AnisotropicConv`."""
        super().__init__()
        strides = tuple(stride or [1] * len(kernel))
        self.conv1 = AnisotropicConv(in_channels, out_channels, kernel, stride=strides, style=style)
        self.conv2 = AnisotropicConv(out_channels, out_channels, kernel, style=style.linear())
        projects = in_channels != out_channels or any(each != 1 for each in strides)
        self.shortcut = (
            AnisotropicConv(
                in_channels, out_channels, [1] * len(kernel), stride=strides, style=style.linear()
            )
            if projects
            else nn.Identity()
        )
        self.act = build_activation(style.activation, out_channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, C, *S) to (B, D, *s)."""
        branch = self.conv2(self.conv1(features))
        out: torch.Tensor = self.act(branch + self.shortcut(features))
        return out


class UpsampleAndMerge(nn.Module):
    """Double the resolution with a transposed convolution, concatenate the skip connection, then a block."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        spatial_dims: int,
        style: ConvStyle,
        residual: bool = True,
    ) -> None:
        """Build the stage.

        Args:
            in_channels: C.
            out_channels: D, which is also the number of channels of the skip connection.
            spatial_dims: 2 or 3.
            style: Bias, normalisation, activation and dropout.
            residual: Whether the block is a `ResidualBlock`; otherwise two convolutions.
        """
        super().__init__()
        self.up = TRANSPOSED_CONVOLUTION[spatial_dims](in_channels, out_channels, 2, stride=2, bias=False)
        self.block = build_block(
            2 * out_channels, out_channels, spatial_dims=spatial_dims, style=style, residual=residual
        )

    def forward(self, features: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Merge (B, C, *S) with (B, D, *(2 S)) to (B, D, *(2 S))."""
        merged: torch.Tensor = self.block(torch.cat((self.up(features), skip), dim=1))
        return merged


def build_block(
    in_channels: int, out_channels: int, *, spatial_dims: int, style: ConvStyle, residual: bool
) -> nn.Module:
    """Build a `ResidualBlock`, or two convolutions, with kernels of 3."""
    kernel = [3] * spatial_dims
    if residual:
        return ResidualBlock(in_channels, out_channels, kernel, style=style)
    return stack_convs(in_channels, out_channels, kernel, count=2, style=style)
