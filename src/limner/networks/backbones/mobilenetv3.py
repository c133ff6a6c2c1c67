"""MobileNetV3 as a feature pyramid, with the maps that other projects' segmentation networks read.

Paper: Searching for MobileNetV3 (Howard et al., ICCV 2019), https://arxiv.org/abs/1905.02244. Parameters are
named as in torchvision (BSD-3-Clause licence), so its weight files load.

Why not timm's own: torchvision's networks read the first map of stride 8 and the last layer's 960 channels,
dilate all convolutions of the last stage, and normalise with an epsilon of 0.001. mmsegmentation's
(Apache-2.0) do the same to the last two stages, and pad strided convolutions as TensorFlow does, which `tf_`
stands for.

Shape legend: B batch, C channels, H and W the input's height and width, h and w a map's.
"""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from limner.layers.norm import TolerantBatchNorm2d
from limner.networks.backbones.resnet import OutputStride
from limner.networks.backbones.tapped_layers import TappedLayers

EPSILON, MOMENTUM = 1e-3, 0.01  # torchvision's, from the authors' TensorFlow code


class BlockShape(NamedTuple):
    """One inverted residual: tables 1 and 2 of the paper."""

    kernel_size: int
    expanded: int
    channels: int
    squeezes: bool
    is_hard: bool
    stride: int


LARGE = (
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
SMALL = (
    BlockShape(3, 16, 16, True, False, 2),
    BlockShape(3, 72, 24, False, False, 2),
    BlockShape(3, 88, 24, False, False, 1),
    BlockShape(5, 96, 40, True, True, 2),
    BlockShape(5, 240, 40, True, True, 1),
    BlockShape(5, 240, 40, True, True, 1),
    BlockShape(5, 120, 48, True, True, 1),
    BlockShape(5, 144, 48, True, True, 1),
    BlockShape(5, 288, 96, True, True, 2),
    BlockShape(5, 576, 96, True, True, 1),
    BlockShape(5, 576, 96, True, True, 1),
)
STEM = 16
EXPANSION_AT_END = 6
"""Channels of the last layer, in multiples of the last block's."""


class MobileNetV3Shape(NamedTuple):
    """One member of the family.

    Attributes:
        blocks: Its blocks.
        taps: Layers whose outputs are returned, at strides 2, 4, 8, 16 and 32.
        pads_as_tensorflow: Whether strided convolutions pad more at the end than at the start.
    """

    blocks: tuple[BlockShape, ...]
    taps: tuple[int, ...]
    pads_as_tensorflow: bool = False


_LARGE_TAPS, _SMALL_TAPS = (1, 3, 4, 12, 16), (0, 1, 3, 8, 12)
MOBILENETV3S = {
    "mobilenet_v3_large": MobileNetV3Shape(LARGE, _LARGE_TAPS),
    "tf_mobilenet_v3_large": MobileNetV3Shape(LARGE, _LARGE_TAPS, pads_as_tensorflow=True),
    "tf_mobilenet_v3_small": MobileNetV3Shape(SMALL, _SMALL_TAPS, pads_as_tensorflow=True),
}
"""Name -> shape: torchvision's, and those of mmsegmentation."""


class MobileNetV3(TappedLayers):
    """MobileNetV3 that returns its feature maps."""

    def __init__(
        self, shape: MobileNetV3Shape, *, in_channels: int = 3, output_stride: OutputStride = 32
    ) -> None:
        """Build the pyramid with random weights.

        Args:
            shape: The MobileNetV3 to build.
            in_channels: Channels of the image.
            output_stride: Stride of the coarsest map; below 32 the stages that would be coarser are dilated.
        """
        same = shape.pads_as_tensorflow
        layers: list[nn.Module] = [_conv(in_channels, STEM, 3, stride=2, act=nn.Hardswish, same=same)]
        widths, strides = [STEM], [2]
        dilation = 1
        for block in shape.blocks:
            is_coarser = strides[-1] * block.stride > output_stride
            dilation *= block.stride if is_coarser else 1
            layers.append(_InvertedResidual(widths[-1], block, dilation=dilation, same=same))
            strides.append(strides[-1] * (1 if is_coarser else block.stride))
            widths.append(block.channels)
        last = EXPANSION_AT_END * widths[-1]
        layers.append(_conv(widths[-1], last, 1, act=nn.Hardswish))
        widths, strides = [*widths, last], [*strides, strides[-1]]
        *fine, coarsest = shape.taps
        taps = (*(tap for tap in fine if strides[tap] < strides[-1]), coarsest)
        super().__init__(
            layers,
            taps=taps,
            channels=[widths[tap] for tap in taps],
            strides=[strides[tap] for tap in taps],
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


class _InvertedResidual(nn.Module):
    """Widen, a depthwise convolution, squeeze and excitation, narrow; added to the input where possible."""

    def __init__(self, in_channels: int, shape: BlockShape, *, dilation: int, same: bool) -> None:
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
                same=same,
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


class _SamePaddingConv2d(nn.Conv2d):
    """Convolution with stride 2 that pads as TensorFlow does, less or nothing at the start."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to (B, D, h / 2, w / 2), rounded up."""
        pads: list[int] = []
        for size, kernel in zip(reversed(x.shape[2:]), reversed(self.kernel_size), strict=True):
            total = kernel - 2 + size % 2
            pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, pads), self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def _conv(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    act: type[nn.Module] | None,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
    same: bool = False,
) -> nn.Sequential:
    convolution = _SamePaddingConv2d if same and stride == 2 else nn.Conv2d
    layers: list[nn.Module] = [
        convolution(
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
