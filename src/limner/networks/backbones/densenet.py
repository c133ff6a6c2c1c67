"""DenseNet as a feature pyramid that can be dilated; every layer reads the outputs of all layers before it.

Paper: Densely Connected Convolutional Networks (Huang et al., CVPR 2017), https://arxiv.org/abs/1608.06993.
Parameters are named as in timm and torchvision, so their weights load.

What differs, and why: below stride 32 the last transitions do not pool and the blocks behind them are
dilated, as in the code of DenseASPP's authors. The normalisation after the last block is up to the network.

Shape legend: B batch, C channels, H and W the input's height and width.
"""

from dataclasses import dataclass

import torch
from torch import nn

from limner.layers.norm import TolerantBatchNorm2d
from limner.networks.backbones.resnet import OutputStride

BOTTLENECK = 4
"""Channels of a layer's 1x1 convolution, as a multiple of the growth rate."""


@dataclass(frozen=True)
class DenseNetShape:
    """Hyperparameters of one member of the family.

    Attributes:
        blocks: Layers in each of the four blocks.
        growth: Channels that each layer adds.
        stem: Channels of the 7x7 convolution.
    """

    blocks: tuple[int, int, int, int]
    growth: int = 32
    stem: int = 64


DENSENETS = {
    "densenet121": DenseNetShape((6, 12, 24, 16)),
    "densenet161": DenseNetShape((6, 12, 36, 24), growth=48, stem=96),
    "densenet169": DenseNetShape((6, 12, 32, 32)),
    "densenet201": DenseNetShape((6, 12, 48, 32)),
}
"""Name -> shape."""


class DenseNet(nn.Module):
    """DenseNet feature extractor with five maps: the stem's and that of each block.

    Attributes:
        channels: Channels of each map that `forward` returns.
        strides: Stride of each map relative to the input, in pixels.
    """

    def __init__(
        self, shape: DenseNetShape, *, in_channels: int = 3, output_stride: OutputStride = 32
    ) -> None:
        """Build the pyramid with random weights.

        Args:
            shape: The DenseNet to build.
            in_channels: Channels of the image.
            output_stride: Stride of the coarsest map; below 32 the last blocks are dilated.
        """
        super().__init__()
        width = shape.stem
        self.features = nn.Sequential()
        self.features.add_module("conv0", nn.Conv2d(in_channels, width, 7, stride=2, padding=3, bias=False))
        self.features.add_module("norm0", TolerantBatchNorm2d(width))
        self.features.add_module("relu0", nn.ReLU(inplace=True))
        self.features.add_module("pool0", nn.MaxPool2d(3, stride=2, padding=1))
        widths = [width]
        for index, num_layers in enumerate(shape.blocks):
            stride = 4 * 2**index
            if index > 0:
                transition = _Transition(width, pools=stride <= output_stride)
                self.features.add_module(f"transition{index}", transition)
                width //= 2
            block = _DenseBlock(num_layers, width, shape.growth, dilation=max(stride // output_stride, 1))
            self.features.add_module(f"denseblock{index + 1}", block)
            width += num_layers * shape.growth
            widths.append(width)
        self.channels = tuple(widths)
        self.strides = tuple(min(stride, output_stride) for stride in (2, 4, 8, 16, 32))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the maps from the finest to the coarsest: (B, C_i, H / stride_i, W / stride_i)."""
        maps = []
        features = images
        for name, part in self.features.named_children():
            features = part(features)
            if name == "relu0" or isinstance(part, _DenseBlock):
                maps.append(features)
        return tuple(maps)


class _DenseBlock(nn.Sequential):
    """Layers that each append `growth` channels to their input."""

    def __init__(self, num_layers: int, in_channels: int, growth: int, *, dilation: int) -> None:
        super().__init__()
        for index in range(num_layers):
            layer = _DenseLayer(in_channels + index * growth, growth, dilation=dilation)
            self.add_module(f"denselayer{index + 1}", layer)


class _DenseLayer(nn.Module):
    """Pre-normalised 1x1 and 3x3 convolutions whose output is concatenated with the input."""

    def __init__(self, in_channels: int, growth: int, *, dilation: int) -> None:
        super().__init__()
        self.norm1 = TolerantBatchNorm2d(in_channels)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(in_channels, BOTTLENECK * growth, 1, bias=False)
        self.norm2 = TolerantBatchNorm2d(BOTTLENECK * growth)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(
            BOTTLENECK * growth, growth, 3, padding=dilation, dilation=dilation, bias=False
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to (B, C + growth, h, w)."""
        added = self.conv1(self.relu1(self.norm1(x)))
        added = self.conv2(self.relu2(self.norm2(added)))
        return torch.cat((x, added), dim=1)


class _Transition(nn.Sequential):
    """Halve the channels and, unless the next block is dilated, the resolution."""

    def __init__(self, channels: int, *, pools: bool) -> None:
        super().__init__()
        self.norm = TolerantBatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(channels, channels // 2, 1, bias=False)
        if pools:
            # With ceil_mode the last row of a map with odd height is kept.
            self.pool = nn.AvgPool2d(2, stride=2, ceil_mode=True, count_include_pad=False)
