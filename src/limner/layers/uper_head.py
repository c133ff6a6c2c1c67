"""The head of UPerNet: pyramid pooling on the coarsest level, a top-down pyramid, fusion of all levels.

Paper: Unified Perceptual Parsing for Scene Understanding (Xiao et al., ECCV 2018),
https://arxiv.org/abs/1807.10221.
"""

from collections.abc import Sequence

import torch
from torch import nn

from limner.layers.convolution import ConvNormAct
from limner.layers.pyramid_pooling import PyramidPooling
from limner.layers.resize import resize


class UPerHead(nn.Module):
    """Pyramid pooling on the last level, top-down sums, one convolution per level and one over all.

    Shape legend: B batch, C_i channels of level i, D channels of the head, h_i and w_i the level's size.
    """

    def __init__(self, widths: Sequence[int], channels: int, *, bins: tuple[int, ...] = (1, 2, 3, 6)) -> None:
        """Build the head.

        Args:
            widths: C_i, from the finest level to the coarsest.
            channels: D.
            bins: Grid sizes of the pyramid pooling on the last level.
        """
        super().__init__()
        self.pyramid = PyramidPooling(widths[-1], channels, bins=bins)
        self.laterals = nn.ModuleList(ConvNormAct(width, channels, 1) for width in widths[:-1])
        self.smoothing = nn.ModuleList(ConvNormAct(channels, channels) for _ in widths[:-1])
        self.fusion = ConvNormAct(len(widths) * channels, channels)

    def forward(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        """Map the levels (B, C_i, h_i, w_i), finest first, to (B, D, h_0, w_0)."""
        top = self.pyramid(maps[-1])
        levels = [top]
        steps = zip(maps[:-1], self.laterals, self.smoothing, strict=True)
        for features, lateral, smoothing in reversed(list(steps)):
            top = lateral(features) + resize(top, features.shape[2:])
            levels.append(smoothing(top))
        size = maps[0].shape[2:]
        fused: torch.Tensor = self.fusion(
            torch.cat([resize(level, size) for level in reversed(levels)], dim=1)
        )
        return fused
