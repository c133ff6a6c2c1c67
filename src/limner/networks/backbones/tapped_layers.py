"""A chain of layers as a feature pyramid: the outputs of some of them are its maps.

Shape legend: B batch, C channels, H and W the input's height and width.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import nn


class TappedLayers(nn.Module):
    """Layers that are computed one after another.

    Attributes:
        channels: Channels of each map that `forward` returns.
        strides: Stride of each map relative to the input, in pixels.
    """

    def __init__(
        self,
        layers: Iterable[nn.Module],
        *,
        taps: Iterable[int],
        channels: Sequence[int],
        strides: Sequence[int],
    ) -> None:
        """Chain the layers.

        Args:
            layers: The layers.
            taps: Layers whose outputs are returned, in order.
            channels: Channels of the output of each tap.
            strides: Stride of the output of each tap.
        """
        super().__init__()
        self.features = nn.Sequential(*layers)
        self._taps = tuple(taps)
        self.channels = tuple(channels)
        self.strides = tuple(strides)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the maps from the finest to the coarsest: (B, C_i, H / stride_i, W / stride_i)."""
        maps, x = [], images
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self._taps:
                maps.append(x)
        return tuple(maps)
