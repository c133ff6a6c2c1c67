"""ResNet as a feature pyramid, with the stems and dilations that segmentation networks use.

Papers: Deep Residual Learning for Image Recognition (He et al., CVPR 2016), https://arxiv.org/abs/1512.03385;
the deep stem and the average-pooled shortcut: Bag of Tricks for Image Classification (He et al., CVPR 2019),
https://arxiv.org/abs/1812.01187. Parameters are named as in timm and torchvision, so their weights load.

What differs, and why: the output stride is set by dilation, in either of two published ways (see
`Dilation`), and all feature maps are returned, including the stem's, for decoders that need it.

Shape legend: B batch, C channels, H and W the input's height and width.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from limner.layers.norm import TolerantBatchNorm2d

Dilation = Literal["contracted", "uniform"]
"""How to dilate a stage instead of halving the resolution.

`contracted`: the first block of the stage uses half the dilation, so that the dilation grows no faster than
the receptive field it replaces, and the second convolution of a basic block is not dilated (mmsegmentation).
`uniform`: every 3x3 convolution of the stage has the same dilation (the PSPNet authors' code,
segmentation-models-pytorch).
"""

OutputStride = Literal[8, 16, 32]


@dataclass(frozen=True)
class ResNetShape:
    """Hyperparameters of one member of the family.

    Attributes:
        blocks: Residual blocks in each of the four stages.
        bottleneck: Blocks of 1x1, 3x3, 1x1 convolutions instead of two 3x3.
        stem: Channels of three 3x3 convolutions, or one number for a single 7x7 convolution.
        average_shortcut: Downsampling shortcuts pool by averaging before their 1x1 convolution.
        width: Channels of the 3x3 convolutions of the first stage, which each further stage doubles.
        projects_first: The shortcut of the very first block has a convolution too, though nothing changes its
            size.
    """

    blocks: tuple[int, int, int, int]
    bottleneck: bool
    stem: tuple[int, ...] = (64,)
    average_shortcut: bool = False
    width: int = 64
    projects_first: bool = False


def _family() -> dict[str, ResNetShape]:
    depths = {
        18: ((2, 2, 2, 2), False),
        34: ((3, 4, 6, 3), False),
        50: ((3, 4, 6, 3), True),
        101: ((3, 4, 23, 3), True),
        152: ((3, 8, 36, 3), True),
    }
    # timm's suffixes: c deep stem, d also the average-pooled shortcut, s the wide deep stem of authors' code.
    variants = {
        "": ((64,), False),
        "c": ((32, 32, 64), False),
        "d": ((32, 32, 64), True),
        "s": ((64, 64, 128), False),
    }
    return {
        f"resnet{depth}{letter}": ResNetShape(blocks, bottleneck, stem, average)
        for depth, (blocks, bottleneck) in depths.items()
        for letter, (stem, average) in variants.items()
    }


RESNETS = _family()
"""Name -> shape: resnet18, resnet18c (deep stem), resnet50s (wide deep stem), ..."""

UNPUBLISHED_RESNETS = {
    f"resnet18_width{width}": ResNetShape((2, 2, 2, 2), bottleneck=False, stem=(width,), width=width)
    for width in (16, 24, 32)
} | {
    f"resnet{depth}vd": ResNetShape(
        blocks, bottleneck=False, stem=(32, 32, 64), average_shortcut=True, projects_first=True
    )
    for depth, blocks in ((18, (2, 2, 2, 2)), (34, (3, 4, 6, 3)))
}
"""Name -> shape of ResNets of which there are no weights trained on ImageNet under these names.

The narrow ones are for short training on a CPU. `resnet18vd` and `resnet34vd` are those of the small forms of
RT-DETR, whose weights contain them.
"""

ALL_RESNETS = RESNETS | UNPUBLISHED_RESNETS
"""Name -> shape of all of them."""


class ResNet(nn.Module):
    """ResNet that returns its five feature maps.

    Attributes:
        channels: Channels of each map that `forward` returns.
        strides: Stride of each map relative to the input, in pixels.
    """

    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential
    layer4: nn.Sequential

    def __init__(
        self,
        shape: ResNetShape,
        *,
        in_channels: int = 3,
        output_stride: OutputStride = 32,
        dilation: Dilation = "contracted",
        multi_grid: tuple[int, ...] = (1,),
    ) -> None:
        """Build the pyramid with random weights.

        Args:
            shape: The ResNet to build.
            in_channels: Channels of the image.
            output_stride: Stride of the coarsest map; below 32 the last stages are dilated.
            dilation: How they are dilated.
            multi_grid: Dilation factors of the last stage's blocks, repeated as needed.
        """
        super().__init__()
        block = Bottleneck if shape.bottleneck else BasicBlock
        expansion = 4 if shape.bottleneck else 1
        stem_channels = shape.stem[-1]
        self.channels = (stem_channels, *(shape.width * 2**stage * expansion for stage in range(4)))
        self.strides = tuple(min(stride, output_stride) for stride in (2, 4, 8, 16, 32))
        self.conv1 = _stem(in_channels, shape.stem)
        self.bn1 = TolerantBatchNorm2d(stem_channels)
        self.act1 = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        for index, num_blocks in enumerate(shape.blocks):
            natural_stride = 4 * 2**index
            rate = max(natural_stride // output_stride, 1)
            stage = nn.Sequential()
            for position in range(num_blocks):
                first = position == 0
                grid = multi_grid[position % len(multi_grid)] if index == 3 else 1
                contract = dilation == "contracted" and rate > 1
                stage.append(
                    block(
                        self.channels[index] if first else self.channels[index + 1],
                        shape.width * 2**index,
                        stride=2 if first and index > 0 and rate == 1 else 1,
                        dilation=grid * (rate // 2 if contract and first else rate),
                        second_dilation=1 if contract else grid * rate,
                        average_shortcut=shape.average_shortcut,
                    )
                )
            self.add_module(f"layer{index + 1}", stage)
        if shape.projects_first:
            first_block = self.layer1[0]
            assert isinstance(first_block, BasicBlock), "a bottleneck's first shortcut always has one"
            first_block.downsample = _projection(
                stem_channels, shape.width, 1, average=shape.average_shortcut
            )
        _initialize(self)

    def truncate(self, num_maps: int) -> None:
        """Remove the stages after the first `num_maps` maps, at least two."""
        for stage in range(num_maps, len(self.channels)):
            delattr(self, f"layer{stage}")
        self.channels, self.strides = self.channels[:num_maps], self.strides[:num_maps]

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the maps from the finest to the coarsest: (B, C_i, H / stride_i, W / stride_i)."""
        features = [self.act1(self.bn1(self.conv1(images)))]
        features.append(self.layer1(self.maxpool(features[-1])))
        for index in range(2, len(self.channels)):
            stage: nn.Sequential = getattr(self, f"layer{index}")
            features.append(stage(features[-1]))
        return tuple(features)


class BasicBlock(nn.Module):
    """Residual block of two 3x3 convolutions."""

    def __init__(
        self,
        in_channels: int,
        width: int,
        *,
        stride: int,
        dilation: int,
        second_dilation: int,
        average_shortcut: bool,
    ) -> None:
        super().__init__()
        self.conv1 = _convolution(in_channels, width, 3, stride=stride, dilation=dilation)
        self.bn1 = TolerantBatchNorm2d(width)
        self.act1 = nn.ReLU(inplace=True)
        self.conv2 = _convolution(width, width, 3, dilation=second_dilation)
        self.bn2 = TolerantBatchNorm2d(width)
        self.downsample = _shortcut(in_channels, width, stride, average=average_shortcut)
        self.act2 = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, H, W) to (B, width, H / stride, W / stride)."""
        out: torch.Tensor = self.act1(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x if self.downsample is None else self.downsample(x)
        result: torch.Tensor = self.act2(out)
        return result


class Bottleneck(nn.Module):
    """Residual block of 1x1, 3x3 and 1x1 convolutions; the 3x3 has the stride."""

    def __init__(
        self,
        in_channels: int,
        width: int,
        *,
        stride: int,
        dilation: int,
        second_dilation: int,  # noqa: ARG002 - a bottleneck has one 3x3
        average_shortcut: bool,
    ) -> None:
        super().__init__()
        out_channels = width * 4
        self.conv1 = _convolution(in_channels, width, 1)
        self.bn1 = TolerantBatchNorm2d(width)
        self.act1 = nn.ReLU(inplace=True)
        self.conv2 = _convolution(width, width, 3, stride=stride, dilation=dilation)
        self.bn2 = TolerantBatchNorm2d(width)
        self.act2 = nn.ReLU(inplace=True)
        self.conv3 = _convolution(width, out_channels, 1)
        self.bn3 = TolerantBatchNorm2d(out_channels)
        self.downsample = _shortcut(in_channels, out_channels, stride, average=average_shortcut)
        self.act3 = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, H, W) to (B, 4 * width, H / stride, W / stride)."""
        out: torch.Tensor = self.act1(self.bn1(self.conv1(x)))
        out = self.act2(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += x if self.downsample is None else self.downsample(x)
        result: torch.Tensor = self.act3(out)
        return result


def _convolution(
    in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1, dilation: int = 1
) -> nn.Conv2d:
    padding = dilation * (kernel_size // 2)
    return nn.Conv2d(
        in_channels, out_channels, kernel_size, stride=stride, padding=padding, dilation=dilation, bias=False
    )


def _stem(in_channels: int, stem: tuple[int, ...]) -> nn.Module:
    if len(stem) == 1:
        return _convolution(in_channels, stem[0], 7, stride=2)
    first, second, last = stem
    return nn.Sequential(
        _convolution(in_channels, first, 3, stride=2),
        TolerantBatchNorm2d(first),
        nn.ReLU(inplace=True),
        _convolution(first, second, 3),
        TolerantBatchNorm2d(second),
        nn.ReLU(inplace=True),
        _convolution(second, last, 3),
    )


def _shortcut(in_channels: int, out_channels: int, stride: int, *, average: bool) -> nn.Sequential | None:
    if stride == 1 and in_channels == out_channels:
        return None
    return _projection(in_channels, out_channels, stride, average=average)


def _projection(in_channels: int, out_channels: int, stride: int, *, average: bool) -> nn.Sequential:
    norm = TolerantBatchNorm2d(out_channels)
    if not average:
        return nn.Sequential(_convolution(in_channels, out_channels, 1, stride=stride), norm)
    pool = nn.Identity() if stride == 1 else nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False)
    return nn.Sequential(pool, _convolution(in_channels, out_channels, 1), norm)


def _initialize(network: nn.Module) -> None:
    """Initialise with He weights and identity blocks (the last norm's scale of each block is zero)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    for module in network.modules():
        if isinstance(module, BasicBlock):
            nn.init.zeros_(module.bn2.weight)
        elif isinstance(module, Bottleneck):
            nn.init.zeros_(module.bn3.weight)
