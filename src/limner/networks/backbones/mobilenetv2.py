"""MobileNetV2 as a feature pyramid, dilated as mmsegmentation does.

Paper: MobileNetV2: Inverted Residuals and Linear Bottlenecks (Sandler et al., CVPR 2018),
https://arxiv.org/abs/1801.04381. Parameters are named as in torchvision (BSD-3-Clause licence), so its weight
files load.

Why not timm's own: mmsegmentation (Apache-2.0), whose PSPNet, DeepLabV3, DeepLabV3+ and FCN on it load,
dilates the first block of a stage alone, where timm dilates all others. The last layer, of 1280 channels, is
left out: it is for classifiers.

Shape legend: B batch, C channels, H and W the input's height and width, h and w a map's.
"""

from typing import NamedTuple

import torch
from torch import nn

from limner.layers.norm import TolerantBatchNorm2d
from limner.networks.backbones.resnet import OutputStride
from limner.networks.backbones.tapped_layers import TappedLayers

MOBILENETV2 = "mobilenet_v2"
STEM = 32


class MobileStage(NamedTuple):
    """Blocks of one width: a row of table 2 of the paper."""

    expansion: int
    channels: int
    blocks: int
    stride: int


STAGES = (
    MobileStage(1, 16, 1, 1),
    MobileStage(6, 24, 2, 2),
    MobileStage(6, 32, 3, 2),
    MobileStage(6, 64, 4, 2),
    MobileStage(6, 96, 3, 1),
    MobileStage(6, 160, 3, 2),
    MobileStage(6, 320, 1, 1),
)

TAPS = (0, 1, 2, 4, 6)
"""Stages whose outputs are returned, at strides 2, 4, 8, 16 and 32."""


class MobileNetV2(TappedLayers):
    """MobileNetV2 that returns its feature maps."""

    def __init__(self, *, in_channels: int = 3, output_stride: OutputStride = 32) -> None:
        """Build the pyramid with random weights.

        Args:
            in_channels: Channels of the image.
            output_stride: Stride of the coarsest maps; below 32 the first block of each stage that would be
                coarser is dilated.
        """
        layers: list[nn.Module] = [_conv(in_channels, STEM, 3, stride=2)]
        width, stride, dilation = STEM, 2, 1
        ends, strides = [], []
        for stage in STAGES:
            is_coarser = stride * stage.stride > output_stride
            dilation *= stage.stride if is_coarser else 1
            stride *= 1 if is_coarser else stage.stride
            for block in range(stage.blocks):
                first = block == 0
                layers.append(
                    _InvertedResidual(
                        width,
                        stage.channels,
                        expansion=stage.expansion,
                        stride=stage.stride if first and not is_coarser else 1,
                        dilation=dilation if first else 1,
                    )
                )
                width = stage.channels
            ends.append(len(layers) - 1)
            strides.append(stride)
        super().__init__(
            layers,
            taps=[ends[tap] for tap in TAPS],
            channels=[STAGES[tap].channels for tap in TAPS],
            strides=[strides[tap] for tap in TAPS],
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")


class _InvertedResidual(nn.Module):
    """Widen, a depthwise convolution, narrow; added to the input where possible."""

    def __init__(
        self, in_channels: int, out_channels: int, *, expansion: int, stride: int, dilation: int
    ) -> None:
        super().__init__()
        wide = in_channels * expansion
        widened = [] if expansion == 1 else [_conv(in_channels, wide, 1)]
        self.conv = nn.Sequential(
            *widened,
            _conv(wide, wide, 3, stride=stride, dilation=dilation, groups=wide),
            nn.Conv2d(wide, out_channels, 1, bias=False),
            TolerantBatchNorm2d(out_channels),
        )
        self._adds = stride == 1 and in_channels == out_channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to (B, D, h / stride, w / stride)."""
        out: torch.Tensor = self.conv(x)
        return out + x if self._adds else out


def _conv(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
) -> nn.Sequential:
    return nn.Sequential(
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
        TolerantBatchNorm2d(out_channels),
        nn.ReLU6(inplace=True),
    )
