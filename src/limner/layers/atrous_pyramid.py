"""Atrous spatial pyramid pooling (ASPP): context at several scales, up to the whole image.

Paper: Rethinking Atrous Convolution for Semantic Image Segmentation (Chen et al., 2017),
https://arxiv.org/abs/1706.05587; with separable convolutions in DeepLabV3+ (2018),
https://arxiv.org/abs/1802.02611.
"""

import torch
from torch import nn

from limner.layers.convolution import ConvNormAct, SeparableConvNormAct
from limner.layers.dropout import Dropout


class AtrousPyramid(nn.Module):
    """A 1x1 convolution, dilated 3x3 convolutions and image pooling, fused by one convolution.

    Shape legend: B batch, C input channels, D output channels, h and w the map's height and width.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        rates: tuple[int, ...],
        separable: bool = False,
        act_between: bool = True,
        projection_kernel: int = 1,
        dropout: float = 0.0,
    ) -> None:
        """Build the module.

        Args:
            in_channels: C.
            channels: D, channels of each branch and of the output.
            rates: Dilations of the 3x3 branches.
            separable: Whether those are depthwise separable.
            act_between: Whether those normalise and activate between their two steps.
            projection_kernel: Kernel size of the convolution that fuses the branches; 1 in the paper.
            dropout: Dropout rate of the output.
        """
        super().__init__()
        self.branches = nn.ModuleList([ConvNormAct(in_channels, channels, 1)])
        for rate in rates:
            self.branches.append(
                SeparableConvNormAct(in_channels, channels, dilation=rate, act_between=act_between)
                if separable
                else ConvNormAct(in_channels, channels, dilation=rate)
            )
        self.image_branch = ConvNormAct(in_channels, channels, 1)
        self.projection = ConvNormAct((len(rates) + 2) * channels, channels, projection_kernel)
        self.dropout = Dropout(dropout)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to (B, D, h, w)."""
        image = self.image_branch(features.mean(dim=(2, 3), keepdim=True))  # (B, D, 1, 1)
        levels = [branch(features) for branch in self.branches]
        levels.append(image.expand_as(levels[0]))
        projected: torch.Tensor = self.dropout(self.projection(torch.cat(levels, dim=1)))
        return projected
