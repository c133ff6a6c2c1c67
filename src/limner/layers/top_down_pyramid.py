"""A feature pyramid with group normalisation, of which only the finest level is returned.

Papers: Feature Pyramid Networks for Object Detection (Lin et al., CVPR 2017),
https://arxiv.org/abs/1612.03144, in the form of MaskFormer (Cheng et al., NeurIPS 2021),
https://arxiv.org/abs/2107.06278, and with its self-attention layers on the coarsest
level.

Shape legend: B batch, C_i channels of level i, C channels of the pyramid, h_i and w_i a level's size.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from limner.layers.convolution import ConvNormAct
from limner.layers.initialization import init_uniform
from limner.layers.pixel_layer import PixelLayer
from limner.layers.sine_position import sine_position

GROUPS = 32
"""Number of groups in each GroupNorm."""


class TopDownPyramid(nn.Module):
    """Top-down pathway: coarser levels are upsampled and added to finer ones."""

    def __init__(self, widths: Sequence[int], channels: int) -> None:
        """Build the pyramid.

        Args:
            widths: C_i, from the finest level to the coarsest.
            channels: C.
        """
        super().__init__()
        *finer, coarsest = widths
        self.laterals = nn.ModuleList(
            ConvNormAct(width, channels, 1, norm="group", norm_groups=GROUPS, activation="none")
            for width in finer
        )
        self.smoothing = nn.ModuleList(
            ConvNormAct(width, channels, norm="group", norm_groups=GROUPS)
            for width in (*(channels for _ in finer), coarsest)
        )
        self.mask_features = nn.Conv2d(channels, channels, 3, padding=1)
        init_uniform(self)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Map the levels (B, C_i, h_i, w_i), finest first, to (B, C, h_0, w_0)."""
        *finer, coarsest = maps
        *smoothing, first = self.smoothing
        top = first(coarsest)
        steps = zip(finer, self.laterals, smoothing, strict=True)
        for features, lateral, smooth in reversed(list(steps)):
            side = lateral(features)
            top = smooth(side + F.interpolate(top, size=side.shape[2:], mode="nearest"))
        result: Tensor = self.mask_features(top)
        return result


class PixelEncoder(nn.Module):
    """Transformer encoder: self-attention layers on the pixels of one map."""

    def __init__(
        self, width: int, channels: int, *, num_layers: int, heads: int, feedforward: int, dropout: float
    ) -> None:
        super().__init__()
        self.input_proj = nn.Conv2d(width, channels, 1)
        self.layers = nn.ModuleList(
            PixelLayer(channels, heads=heads, feedforward=feedforward, dropout=dropout)
            for _ in range(num_layers)
        )
        init_uniform(self.input_proj)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, width, h, w) to (B, C, h, w)."""
        features = self.input_proj(features)
        pixels = features.flatten(2).transpose(1, 2)
        position = sine_position((features.shape[2], features.shape[3]), pixels.shape[-1], like=pixels)
        for layer in self.layers:
            pixels = layer(pixels, position)
        return pixels.transpose(1, 2).reshape(features.shape)
