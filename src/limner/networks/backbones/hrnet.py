"""HRNet: branches of four resolutions that run in parallel and exchange their maps again and again.

Paper: Deep High-Resolution Representation Learning for Visual Recognition (Wang et al., TPAMI 2020),
https://arxiv.org/abs/1908.07919. Authors' code: https://github.com/HRNet/HRNet-Semantic-Segmentation (MIT
licence); parameters are named as there, in mmsegmentation and in timm, so their weight files load.

What differs, and why: coarse maps are enlarged bilinearly, as in the authors' code for segmentation and in
mmsegmentation; timm and the authors' classifiers repeat pixels, in the same layers. If a side cannot be
halved evenly, a map is enlarged by a whole factor and then fitted to the finer one, as in mmsegmentation.

Shape legend: B batch, C channels, H and W the input's height and width, h_i and w_i those of branch i.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from limner.layers.initialization import initialize
from limner.layers.norm import build_norm
from limner.layers.resize import resize
from limner.networks.backbones.resnet import BasicBlock, Bottleneck

STEM = 64
FIRST_STAGE = 256


@dataclass(frozen=True)
class HRNetShape:
    """Hyperparameters of one member of the family.

    Attributes:
        width: Channels of the finest branch; each coarser one has twice as many.
        exchanges: Exchanges between the branches in the second, third and fourth stage.
        blocks: Residual blocks of the first stage, and of each branch before each exchange.
    """

    width: int
    exchanges: tuple[int, int, int] = (1, 4, 3)
    blocks: int = 4


HRNETS = {f"hrnetv2_w{width}": HRNetShape(width) for width in (18, 30, 32, 40, 44, 48, 64)} | {
    "hrnetv2_w18_small": HRNetShape(18, (1, 3, 2), 2)
}
"""Name -> shape, of which `hrnetv2_w18_small` is mmsegmentation's small one. timm's `hrnet_w18` and its like
are other encoders, which widen the maps for a classifier."""


def published_name(name: str) -> str:
    """Return timm's name of the classifier whose published weights hold those of one of `HRNETS`."""
    return "hrnet_w18_small_v2" if name == "hrnetv2_w18_small" else name.replace("hrnetv2", "hrnet")


class HRNet(nn.Module):
    """HRNet that returns the maps of its four branches.

    Attributes:
        channels: Channels of each map that `forward` returns.
        strides: Stride of each map relative to the input, in pixels.
    """

    def __init__(self, shape: HRNetShape, *, in_channels: int = 3) -> None:
        """Build the branches with random weights."""
        super().__init__()
        self.channels = tuple(shape.width * 2**branch for branch in range(4))
        self.strides = (4, 8, 16, 32)
        self.conv1 = _convolution(in_channels, STEM, stride=2)
        self.bn1 = build_norm("batch", STEM)
        self.conv2 = _convolution(STEM, STEM, stride=2)
        self.bn2 = build_norm("batch", STEM)
        self.act = nn.ReLU(inplace=True)
        self.layer1 = nn.Sequential(
            *(_bottleneck(FIRST_STAGE if index else STEM) for index in range(shape.blocks))
        )
        before: tuple[int, ...] = (FIRST_STAGE,)
        for stage, exchanges in enumerate(shape.exchanges, start=1):
            widths = self.channels[: stage + 1]
            self.add_module(f"transition{stage}", _transition(before, widths))
            modules = (_Exchange(widths, num_blocks=shape.blocks) for _ in range(exchanges))
            self.add_module(f"stage{stage + 1}", nn.Sequential(*modules))
            before = widths
        initialize(self)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the maps from the finest to the coarsest: (B, C_i, H / stride_i, W / stride_i)."""
        x = self.act(self.bn1(self.conv1(images)))
        x = self.act(self.bn2(self.conv2(x)))
        maps = [self.layer1(x)]
        for stage in (1, 2, 3):
            # The last map also begins the new, coarser branch.
            transition: nn.ModuleList = getattr(self, f"transition{stage}")
            maps = [layer(source) for layer, source in zip(transition, [*maps, maps[-1]], strict=True)]
            maps = getattr(self, f"stage{stage + 1}")(maps)
        return tuple(maps)


class _Exchange(nn.Module):
    """Residual blocks on each branch, then sums of all branches at each of their resolutions."""

    def __init__(self, widths: Sequence[int], *, num_blocks: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(_basic_block(width) for _ in range(num_blocks))) for width in widths
        )
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_path(widths, source, target) for source in range(len(widths)))
            for target in range(len(widths))
        )

    def forward(self, maps: list[torch.Tensor]) -> list[torch.Tensor]:
        """Map the branches (B, C_i, h_i, w_i), finest first, to the same shapes."""
        maps = [branch(features) for branch, features in zip(self.branches, maps, strict=True)]
        fused = []
        for target, paths in enumerate(self.fuse_layers):
            assert isinstance(paths, nn.ModuleList)
            terms = []
            for source, (path, features) in enumerate(zip(paths, maps, strict=True)):
                term = path(features)
                if source > target:
                    factor = float(2 ** (source - target))
                    term = F.interpolate(term, scale_factor=factor, mode="bilinear", align_corners=False)
                terms.append(resize(term, maps[target].shape[2:]))
            fused.append(F.relu(sum(terms[1:], terms[0])))
        return fused


def _path(widths: Sequence[int], source: int, target: int) -> nn.Module:
    """Return the layers between two branches; a coarser map is enlarged after them."""
    if source == target:
        return nn.Identity()
    wide, narrow = widths[source], widths[target]
    if source > target:
        return nn.Sequential(nn.Conv2d(wide, narrow, 1, bias=False), build_norm("batch", narrow))
    steps = [_step(wide, wide, stride=2) for _ in range(target - source - 1)]
    return nn.Sequential(*steps, _step(wide, narrow, stride=2, activates=False))


def _transition(before: Sequence[int], widths: Sequence[int]) -> nn.ModuleList:
    """Return a layer for each branch of the next stage, of which the coarsest is new."""
    layers: list[nn.Module] = [
        nn.Identity() if have == want else _step(have, want)
        for have, want in zip(before, widths, strict=False)
    ]
    layers.append(nn.Sequential(_step(before[-1], widths[-1], stride=2)))
    return nn.ModuleList(layers)


def _step(in_channels: int, out_channels: int, *, stride: int = 1, activates: bool = True) -> nn.Sequential:
    layers = [_convolution(in_channels, out_channels, stride=stride), build_norm("batch", out_channels)]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if activates else []))


def _convolution(in_channels: int, out_channels: int, *, stride: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)


def _bottleneck(in_channels: int) -> Bottleneck:
    width = FIRST_STAGE // 4
    return Bottleneck(in_channels, width, stride=1, dilation=1, second_dilation=1, average_shortcut=False)


def _basic_block(width: int) -> BasicBlock:
    return BasicBlock(width, width, stride=1, dilation=1, second_dilation=1, average_shortcut=False)
