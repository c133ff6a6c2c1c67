"""The decoder block of U-Nets on an encoder: upsampling, skip connection, two convolutions.

With the layers of segmentation-models-pytorch's decoders (MIT licence), so weights can be exchanged.

Shape legend: B batch, C channels, h and w the height and width of a map.
"""

from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from limner.layers.convolution import ConvNormAct
from limner.layers.repeated_convolution import convolve_repeated, is_faster_fused

AttentionName = Literal["none", "scse"]
"""Attention of the decoder blocks: none, or squeeze and excitation of channels and pixels."""


class UpBlock(nn.Module):
    """Nearest-neighbour upsampling, concatenation of the skip connection, two 3x3 blocks."""

    def __init__(
        self,
        in_channels: int,
        skip_channels: int,
        out_channels: int,
        *,
        attention: AttentionName = "none",
    ) -> None:
        """Build the block; with attention, it is applied to the concatenated maps and to the output."""
        super().__init__()
        joined = in_channels + skip_channels
        self.conv1 = ConvNormAct(joined, out_channels)
        self.conv2 = ConvNormAct(out_channels, out_channels)
        self.attention1 = ChannelPixelAttention(joined) if attention == "scse" else None
        self.attention2 = ChannelPixelAttention(out_channels) if attention == "scse" else None

    def forward(self, features: torch.Tensor, skip: torch.Tensor | None, size: torch.Size) -> torch.Tensor:
        """Map (B, C, h, w) and the skip connection of `size` to (B, width, *size)."""
        is_double = size == (2 * features.shape[2], 2 * features.shape[3])
        if self.attention1 is None and is_double and is_faster_fused(features):
            out = self._fused_first_conv(features, skip)
        else:
            out = self.conv1(self._join(F.interpolate(features, size=size, mode="nearest"), skip))
        result: torch.Tensor = self.conv2(out)
        return result if self.attention2 is None else self.attention2(result)

    def _join(self, features: torch.Tensor, skip: torch.Tensor | None) -> torch.Tensor:
        if skip is None:
            return features
        joined = torch.cat((features, skip), dim=1)
        return joined if self.attention1 is None else self.attention1(joined)

    def _fused_first_conv(self, features: torch.Tensor, skip: torch.Tensor | None) -> torch.Tensor:
        """Apply `conv1` to the concatenated maps without materialising the upsampled or concatenated map."""
        weight = self.conv1.conv.weight
        channels = features.shape[1]
        summed = convolve_repeated(features, weight[:, :channels])
        if skip is not None:
            summed += F.conv2d(skip, weight[:, channels:], padding=1)
        out: torch.Tensor = self.conv1.act(self.conv1.norm(summed))
        return out


class ChannelPixelAttention(nn.Module):
    """Squeeze and excitation of channels, plus that of pixels.

    Paper: Concurrent Spatial and Channel Squeeze & Excitation in Fully Convolutional Networks (Roy et al.,
    MICCAI 2018), https://arxiv.org/abs/1803.02579.
    """

    def __init__(self, channels: int, *, reduction: int = 16) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, max(channels // reduction, 1), 1)
        self.excite = nn.Conv2d(max(channels // reduction, 1), channels, 1)
        self.pixels = nn.Conv2d(channels, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to (B, C, h, w)."""
        channels = self.excite(F.relu(self.squeeze(x.mean(dim=(2, 3), keepdim=True)))).sigmoid()
        gated: torch.Tensor = x * (channels + self.pixels(x).sigmoid())
        return gated
