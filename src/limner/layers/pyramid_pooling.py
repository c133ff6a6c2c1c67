"""Pyramid pooling: context from averages over the whole image, its quarters, ...

Paper: Pyramid Scene Parsing Network (Zhao et al., CVPR 2017), https://arxiv.org/abs/1612.01105.
"""

import torch
from torch import nn
from torch.nn import functional as F

from limner.layers.convolution import ConvNormAct
from limner.layers.resize import resize


class PyramidPooling(nn.Module):
    """Averages over grids of several sizes, fused with the map itself by a 3x3 convolution.

    Shape legend: B batch, C input channels, D output channels, h and w the map's height and width.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        bins: tuple[int, ...] = (1, 2, 3, 6),
        align_corners: bool = False,
    ) -> None:
        """Build the module.

        Args:
            in_channels: C.
            channels: D, channels of each grid and of the output.
            bins: Grid sizes.
            align_corners: Whether the grids are resized to the map with aligned corners.
        """
        super().__init__()
        self.bins = bins
        self.align_corners = align_corners
        self.branches = nn.ModuleList(ConvNormAct(in_channels, channels, 1) for _ in bins)
        self.fusion = ConvNormAct(in_channels + len(bins) * channels, channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to (B, D, h, w)."""
        size = features.shape[2:]
        levels = [features]
        for side, branch in zip(self.bins, self.branches, strict=True):
            grid = branch(F.adaptive_avg_pool2d(features, side))  # (B, D, side, side)
            levels.append(resize(grid, size, align_corners=self.align_corners))
        fused: torch.Tensor = self.fusion(torch.cat(levels, dim=1))
        return fused
