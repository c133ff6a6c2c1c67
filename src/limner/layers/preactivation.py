"""Pre-activation residual unit.

Paper: Identity Mappings in Deep Residual Networks (He et al., ECCV 2016), https://arxiv.org/abs/1603.05027.
"""

import torch
from torch import nn

from limner.layers.dimensions import CONVOLUTION
from limner.layers.norm import build_norm


class PreActivationUnit(nn.Module):
    """Two times normalisation, activation and convolution, plus a convolutional shortcut.

    Shape legend: B batch, C input channels, D output channels, *S spatial axes.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        stride: int = 1,
        shortcut_kernel: int = 1,
        shortcut_norm: bool = True,
        first: bool = False,
        spatial_dims: int = 2,
    ) -> None:
        """Build the unit.

        Args:
            in_channels: C.
            channels: D.
            stride: Stride of the first convolution and of the shortcut.
            shortcut_kernel: Kernel size of the shortcut.
            shortcut_norm: Normalise the shortcut.
            first: Whether the input is the image, which is then neither normalised nor activated.
            spatial_dims: 2 or 3.
        """
        super().__init__()
        convolution = CONVOLUTION[spatial_dims]

        def activation(width: int) -> list[nn.Module]:
            return [build_norm("batch", width, spatial_dims=spatial_dims), nn.ReLU(inplace=True)]

        self.residual = nn.Sequential(
            *([] if first else activation(in_channels)),
            convolution(in_channels, channels, 3, stride=stride, padding=1),
            *activation(channels),
            convolution(channels, channels, 3, padding=1),
        )
        self.shortcut = nn.Sequential(
            convolution(in_channels, channels, shortcut_kernel, stride=stride, padding=shortcut_kernel // 2),
            *([build_norm("batch", channels, spatial_dims=spatial_dims)] if shortcut_norm else []),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, C, *S) to (B, D, *S / stride)."""
        out: torch.Tensor = self.residual(features)
        out += self.shortcut(features)
        return out
