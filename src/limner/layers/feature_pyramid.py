"""A feature pyramid of which every level is returned, with coarser levels than the encoder has.

Papers: Feature Pyramid Networks for Object Detection (Lin et al., CVPR 2017),
https://arxiv.org/abs/1612.03144; the coarser levels are those of RetinaNet (Lin et al., ICCV 2017),
https://arxiv.org/abs/1708.02002, computed from the coarsest level as in FCOS.

Shape legend: B batch, C_i channels of level i, C channels of the pyramid, h_i and w_i a level's size.
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from limner.layers.convolution import ConvNormAct
from limner.layers.initialization import initialize
from limner.layers.norm import NormName


class FeaturePyramid(nn.Module):
    """Coarser levels are upsampled and added to finer ones; each sum is smoothed."""

    def __init__(
        self, widths: Sequence[int], channels: int, *, extra_levels: int = 0, norm: NormName = "none"
    ) -> None:
        """Build the pyramid.

        Args:
            widths: C_i, from the finest level to the coarsest.
            channels: C.
            extra_levels: Number of further levels, each of half the resolution.
            norm: Normalisation of the 3x3 convolutions.
        """
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in widths)
        self.smoothing = nn.ModuleList(ConvNormAct(channels, channels, norm=norm) for _ in widths)
        self.extra = nn.ModuleList(
            ConvNormAct(channels, channels, stride=2, norm=norm) for _ in range(extra_levels)
        )
        initialize(self)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Map (B, C_i, h_i, w_i), finest first, to (B, C, h_i, w_i), then the coarser levels."""
        levels = [lateral(features) for lateral, features in zip(self.laterals, maps, strict=True)]
        for fine, coarse in reversed(list(pairwise(range(len(levels))))):
            size = levels[fine].shape[2:]
            levels[fine] = levels[fine] + F.interpolate(levels[coarse], size=size, mode="nearest")
        levels = [smooth(features) for smooth, features in zip(self.smoothing, levels, strict=True)]
        for shrink in self.extra:
            levels.append(shrink(levels[-1]))
        return levels
