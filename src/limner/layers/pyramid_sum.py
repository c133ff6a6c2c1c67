"""The head of Semantic FPN: the levels of a pyramid are upsampled to one resolution and summed.

Paper: Panoptic Feature Pyramid Networks (Kirillov et al., CVPR 2019), https://arxiv.org/abs/1901.02446.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import nn

from limner.layers.convolution import ConvNormAct
from limner.layers.norm import NormName
from limner.layers.resize import resize

Upsampling = Literal["sizes", "doubling", "aligned"]
"""How each level is upsampled: in steps to the sizes of the finer levels; by doubling, and at the end to the
finest size, as in mmsegmentation; or as `sizes` with aligned corners, as in segmentation-models-pytorch. They
differ at sides that are no multiples of the coarsest stride, or with aligned corners."""


class PyramidSum(nn.ModuleList):
    """Sum of one branch per level, each upsampled to the finest resolution.

    Shape legend: B batch, C_i channels of level i, D channels of the sum, h_i and w_i the level's size.
    """

    def __init__(
        self,
        widths: Sequence[int],
        channels: int,
        *,
        norm: NormName = "batch",
        upsampling: Upsampling = "sizes",
    ) -> None:
        """Build the branches.

        Args:
            widths: C_i, from the finest level to the coarsest.
            channels: D.
            norm: Normalisation of the branches; ``group``, with 32 groups, in the paper.
            upsampling: How each level reaches the finest resolution.
        """
        super().__init__(
            _Branch(width, channels, max(level, 1), norm=norm, upsampling=upsampling)
            for level, width in enumerate(widths)
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

    def __init__(
        self, width: int, channels: int, num_convs: int, *, norm: NormName, upsampling: Upsampling
    ) -> None:
        widths = (width, *(channels,) * num_convs)
        super().__init__(
            ConvNormAct(narrow, wide, norm=norm, norm_groups=32) for narrow, wide in pairwise(widths)
        )
        self._doubles = upsampling == "doubling"
        self._align_corners = upsampling == "aligned"

    def forward(self, features: torch.Tensor, finer: list[torch.Size]) -> torch.Tensor:
        """Map (B, C, h, w) to (B, D, *finer[0]); `finer` has the intermediate sizes, finest first."""
        for index, block in enumerate(self):
            features = block(features)
            if finer:
                double = [2 * length for length in features.shape[2:]]
                size = double if self._doubles else finer[len(finer) - 1 - index]
                features = resize(features, size, align_corners=self._align_corners)
        return resize(features, finer[0]) if finer else features
