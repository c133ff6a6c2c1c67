"""Receptive field block: parallel branches with four receptive fields.

Paper: Receptive Field Block Net for Accurate and Fast Object Detection (Liu et al., ECCV 2018),
https://arxiv.org/abs/1711.07767, in the form of PraNet and Inf-Net: longer branches without activations
inside.
"""

import torch
from torch import nn

from limner.layers.convolution import ConvNormAct
from limner.layers.norm import build_norm


class ReceptiveFieldBlock(nn.Module):
    """Four branches with receptive fields from 1, 9, 15 and 21 pixels, fused and added to a shortcut.

    Shape legend: B batch, C input channels, D output channels, h and w the map's height and width.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList([_conv(in_channels, channels)])
        for side in (3, 5, 7):
            self.branches.append(
                nn.Sequential(
                    _conv(in_channels, channels),
                    _one_axis(channels, (1, side)),
                    _one_axis(channels, (side, 1)),
                    ConvNormAct(channels, channels, dilation=side, activation="none"),
                )
            )
        self.join = ConvNormAct(4 * channels, channels, activation="none")
        self.shortcut = _conv(in_channels, channels)
        self.act = nn.ReLU(inplace=True)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to (B, D, h, w)."""
        joined = self.join(torch.cat([branch(features) for branch in self.branches], dim=1))
        joined += self.shortcut(features)
        out: torch.Tensor = self.act(joined)
        return out


def _conv(in_channels: int, channels: int) -> ConvNormAct:
    return ConvNormAct(in_channels, channels, 1, activation="none")


def _one_axis(channels: int, kernel_size: tuple[int, int]) -> nn.Sequential:
    height, width = kernel_size
    return nn.Sequential(
        nn.Conv2d(channels, channels, kernel_size, padding=(height // 2, width // 2), bias=False),
        build_norm("batch", channels),
    )
