"""MobileNetV3-Large as a feature pyramid, with the maps that torchvision's segmentation networks read.

Paper: Searching for MobileNetV3 (Howard et al., ICCV 2019), https://arxiv.org/abs/1905.02244. Parameters are
named as in torchvision (BSD-3-Clause licence), so its weight files load.

Why not timm's own: torchvision's networks read the first map of stride 8 and the last layer's 960 channels,
dilate all convolutions of the last stage, and normalise with an epsilon of 0.001.

Shape legend: B batch, C channels, H and W the input's height and width, h and w a map's.
"""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from limner.layers.norm import TolerantBatchNorm2d

EPSILON, MOMENTUM = 1e-3, 0.01  # torchvision's, from the authors' TensorFlow code
TAPS = (1, 3, 4, 12, 16)
"""Layers whose outputs are returned, at strides 2, 4, 8, 16 and 32; the first of stride 8."""


class BlockShape(NamedTuple):
    """One inverted residual: table 1 of the paper."""

    kernel_size: int
    expanded: int
    channels: int
    squeezes: bool
    is_hard: bool
    stride: int


BLOCKS = (
    BlockShape(3, 16, 16, False, False, 1),
    BlockShape(3, 64, 24, False, False, 2),
    BlockShape(3, 72, 24, False, False, 1),
    BlockShape(5, 72, 40, True, False, 2),
    BlockShape(5, 120, 40, True, False, 1),
    BlockShape(5, 120, 40, True, False, 1),
    BlockShape(3, 240, 80, False, True, 2),
    BlockShape(3, 200, 80, False, True, 1),
    BlockShape(3, 184, 80, False, True, 1),
    BlockShape(3, 184, 80, False, True, 1),
    BlockShape(3, 480, 112, True, True, 1),
    BlockShape(3, 672, 112, True, True, 1),
    BlockShape(5, 672, 160, True, True, 2),
    BlockShape(5, 960, 160, True, True, 1),
    BlockShape(5, 960, 160, True, True, 1),
)
LAST = 960


class MobileNetV3(nn.Module):
    """MobileNetV3-Large that returns its feature maps.

    Attributes:
        channels: Channels of each map that `forward` returns.
        strides: Stride of each map relative to the input, in pixels.
    """

    def __init__(self, *, in_channels: int = 3, output_stride: int = 32) -> None:
        """Build the pyramid with random weights.

        Args:
            in_channels: Channels of the image.
            output_stride: 32, or 16, where the last stage is dilated.
        """
        super().__init__()
        is_dilated = output_stride == 16
        layers: list[nn.Module] = [_conv(in_channels, 16, 3, stride=2, act=nn.Hardswish)]
        width = 16
        for index, shape in enumerate(BLOCKS):
            dilation = 2 if is_dilated and index >= 12 else 1  # the stage that would reach stride 32
            layers.append(_InvertedResidual(width, shape, dilation=dilation))
            width = shape.channels
        layers.append(_conv(width, LAST, 1, act=nn.Hardswish))
        self.features = nn.Sequential(*layers)
        taps = tuple(tap for tap in TAPS if not (is_dilated and tap == 12))
        self._taps = taps
        widths = {1: 16, 3: 24, 4: 40, 12: 112, 16: LAST}
        self.channels = tuple(widths[tap] for tap in taps)
        self.strides = (2, 4, 8, 16) if is_dilated else (2, 4, 8, 16, 32)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the maps from the finest to the coarsest: (B, C_i, H / stride_i, W / stride_i)."""
        maps, x = [], images
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self._taps:
                maps.append(x)
        return tuple(maps)


class _InvertedResidual(nn.Module):
    """Widen, a depthwise convolution, squeeze and excitation, narrow; added to the input where possible."""

    def __init__(self, in_channels: int, shape: BlockShape, *, dilation: int) -> None:
        super().__init__()
        act = nn.Hardswish if shape.is_hard else nn.ReLU
        stride = 1 if dilation > 1 else shape.stride
        layers: list[nn.Module] = []
        if shape.expanded != in_channels:
            layers.append(_conv(in_channels, shape.expanded, 1, act=act))
        layers.append(
            _conv(
                shape.expanded,
                shape.expanded,
                shape.kernel_size,
                stride=stride,
                dilation=dilation,
                groups=shape.expanded,
                act=act,
            )
        )
        if shape.squeezes:
            layers.append(_SqueezeExcitation(shape.expanded, _multiple_of_8(shape.expanded // 4)))
        layers.append(_conv(shape.expanded, shape.channels, 1, act=None))
        self.block = nn.Sequential(*layers)
        self._adds = shape.stride == 1 and in_channels == shape.channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to (B, D, h / stride, w / stride)."""
        out: torch.Tensor = self.block(x)
        return out + x if self._adds else out


class _SqueezeExcitation(nn.Module):
    def __init__(self, channels: int, narrow: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, narrow, 1)
        self.fc2 = nn.Conv2d(narrow, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to (B, C, h, w)."""
        gate = F.hardsigmoid(self.fc2(F.relu(self.fc1(x.mean(dim=(2, 3), keepdim=True)))))
        return x * gate


def _conv(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    act: type[nn.Module] | None,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=dilation * (kernel_size // 2),
            dilation=dilation,
            groups=groups,
            bias=False,
        ),
        TolerantBatchNorm2d(out_channels, eps=EPSILON, momentum=MOMENTUM),
    ]
    return nn.Sequential(*layers, *([] if act is None else [act(inplace=True)]))


def _multiple_of_8(width: int) -> int:
    """Round to a multiple of 8, by at most a tenth downwards."""
    rounded = max(8, (width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width else rounded
