"""The head of Semantic FPN: the levels of a pyramid are upsampled to one resolution and summed.

Paper: Panoptic Feature Pyramid Networks (Kirillov et al., CVPR 2019), https://arxiv.org/abs/1901.02446.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from limner.layers.convolution import ConvNormAct
from limner.layers.norm import NormName
from limner.layers.resize import resize


class PyramidSum(nn.ModuleList):
    """Sum of one branch per level, each upsampled to the finest resolution.

    Shape legend: B batch, C_i channels of level i, D channels of the sum, h_i and w_i the level's size.
    """

    def __init__(self, widths: Sequence[int], channels: int, *, norm: NormName = "batch") -> None:
        """Build the branches.

        Args:
            widths: C_i, from the finest level to the coarsest.
            channels: D.
            norm: Normalisation of the branches; ``group``, with 32 groups, in the paper.
        """
        super().__init__(
            _Branch(width, channels, max(level, 1), norm=norm) for level, width in enumerate(widths)
        )

    def forward(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        """Map the levels (B, C_i, h_i, w_i), finest first, to (B, D, h_0, w_0)."""
        sizes = [features.shape[2:] for features in maps]
        summed = torch.zeros((), device=maps[0].device)
        for level, (features, branch) in enumerate(zip(maps, self, strict=True)):
            summed = summed + branch(features, sizes[:level])
        return summed


class _Branch(nn.ModuleList):
    """3x3 blocks, each followed by upsampling to the next finer level."""

    def __init__(self, width: int, channels: int, num_convs: int, *, norm: NormName) -> None:
        widths = (width, *(channels,) * num_convs)
        super().__init__(
            ConvNormAct(narrow, wide, norm=norm, norm_groups=32) for narrow, wide in pairwise(widths)
        )

    def forward(self, features: torch.Tensor, finer: list[torch.Size]) -> torch.Tensor:
        """Map (B, C, h, w) to (B, D, *finer[0]); `finer` has the intermediate sizes, finest first."""
        for index, block in enumerate(self):
            features = block(features)
            if finer:
                features = resize(features, finer[len(finer) - 1 - index])
        return features
