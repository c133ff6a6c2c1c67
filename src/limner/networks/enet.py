"""ENet: narrow bottlenecks on early downsampled maps, for video on small devices.

Paper: ENet: A Deep Neural Network Architecture for Real-Time Semantic Segmentation (Paszke et al., 2016),
https://arxiv.org/abs/1606.02147. The authors' code is for Torch7; the reference implementation in PyTorch is
https://github.com/davidtvs/PyTorch-ENet (MIT licence), both of whose versions of weights load (`LAYOUTS`).

What differs, and why: nothing for inputs whose sides are multiples of 8; for others each map is restored to
the size it had in the encoder. Dropout acts on whole channels, as in the paper.

Shape legend: B batch, C channels, K classes, H and W the input's height and width, h and w a map's.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from limner.core.config import Config
from limner.core.outputs import DenseLogits
from limner.layers.initialization import init_classifier, initialize
from limner.layers.norm import TolerantBatchNorm2d
from limner.networks.entry import NetworkEntry

Width = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]

# Table 1 of the paper: the dilations of stage 2, repeated in stage 3; asymmetric means 5x1, then 1x5.
CONTEXT: tuple[int | Literal["asymmetric"], ...] = (1, 2, "asymmetric", 4, 1, 8, "asymmetric", 16)


@dataclass(frozen=True)
class Layout:
    """Differences between the published versions.

    Attributes:
        decoder_slopes: Whether the decoder uses PReLU too; else ReLU, as in the paper.
        slope_per_channel: Whether a block's last PReLU has a slope per channel, as in the paper.
        pooling_kernel: Kernel size of the encoder's pooling; windows of size 3 overlap.
        upsampling_kernel: Kernel size of the decoder's transposed convolutions.
        activates_expansion: Whether an activation precedes the sum of an upsampling block's two paths.
    """

    decoder_slopes: bool
    slope_per_channel: bool
    pooling_kernel: Literal[2, 3]
    upsampling_kernel: Literal[2, 3]
    activates_expansion: bool


LayoutName = Literal["2019", "2017"]
LAYOUTS: dict[LayoutName, Layout] = {
    # davidtvs/PyTorch-ENet, models/enet.py since commit 7cd31d4
    "2019": Layout(
        decoder_slopes=False,
        slope_per_channel=False,
        pooling_kernel=2,
        upsampling_kernel=2,
        activates_expansion=False,
    ),
    # davidtvs/PyTorch-ENet, models/enet.py of commit d19cec5
    "2017": Layout(
        decoder_slopes=True,
        slope_per_channel=True,
        pooling_kernel=3,
        upsampling_kernel=3,
        activates_expansion=True,
    ),
}


class ENetOptions(Config):
    """Options of `ENet`."""

    stem_filters: Width = 13
    """Filters of the first convolution; its output is concatenated with the pooled image."""
    widths: tuple[Width, Width] = (64, 128)
    """Channels at strides 4 and 8; 4 or more."""
    repeats: Width = 2
    """Number of repetitions of the eight blocks at stride 8."""
    dropouts: tuple[Fraction, Fraction] = (0.01, 0.1)
    """Channel dropout rate at the end of each block: at stride 4, and at coarser strides."""
    layout: LayoutName = "2019"
    """Version of the PyTorch implementation to follow."""


class ENet(nn.Module):
    """Large encoder, small decoder; unpooling uses the indices of the maxima from pooling."""

    def __init__(self, options: ENetOptions, *, num_classes: int, in_channels: int = 3) -> None:
        super().__init__()
        layout = LAYOUTS[options.layout]
        encoder = _Style(slopes=True, per_channel=layout.slope_per_channel)
        decoder = _Style(slopes=layout.decoder_slopes, per_channel=layout.slope_per_channel)
        stem = options.stem_filters + in_channels
        fine, coarse = options.widths
        light, strong = options.dropouts
        self.stem = _Stem(in_channels, options.stem_filters, style=encoder)
        self.down1 = _DownBlock(stem, fine, dropout=light, style=encoder, layout=layout)
        self.stage1 = nn.Sequential(*(_Block(fine, dropout=light, style=encoder) for _ in range(4)))
        self.down2 = _DownBlock(fine, coarse, dropout=strong, style=encoder, layout=layout)
        self.context = nn.Sequential(
            *(
                _Block(coarse, dropout=strong, style=encoder, kind=kind)
                for _ in range(options.repeats)
                for kind in CONTEXT
            )
        )
        self.up1 = _UpBlock(coarse, fine, dropout=strong, style=decoder, layout=layout)
        self.stage4 = nn.Sequential(*(_Block(fine, dropout=strong, style=decoder) for _ in range(2)))
        self.up2 = _UpBlock(fine, stem, dropout=strong, style=decoder, layout=layout)
        self.stage5 = _Block(stem, dropout=strong, style=decoder)
        self.head = nn.ConvTranspose2d(stem, num_classes, 3, stride=2, padding=1, bias=False)
        initialize(self)
        # A 3x3 kernel of stride 2 reaches a pixel 9 / 4 times; a sum of blocks has about 4 times the
        # variance.
        init_classifier(self.head.weight, inputs=4 * stem * 9 / 4)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H, W)."""
        half = self.stem(images)  # (B, 16, H / 2, W / 2)
        quarter, places_half = self.down1(half)
        quarter = self.stage1(quarter)  # (B, 64, H / 4, W / 4)
        eighth, places_quarter = self.down2(quarter)
        features = self.context(eighth)  # (B, 128, H / 8, W / 8)
        features = self.stage4(self.up1(features, places_quarter, quarter.shape[2:]))
        features = self.stage5(self.up2(features, places_half, half.shape[2:]))
        return DenseLogits(self.head(features, output_size=images.shape[2:]))


@dataclass(frozen=True)
class _Style:
    """Activations: ReLU or PReLU, with one slope per block output or one per channel."""

    slopes: bool
    per_channel: bool

    def inner(self) -> nn.Module:
        return nn.PReLU() if self.slopes else nn.ReLU(inplace=True)

    def closing(self, channels: int) -> nn.Module:
        return nn.PReLU(channels if self.per_channel else 1) if self.slopes else nn.ReLU(inplace=True)


class _Stem(nn.Module):
    """Convolve and pool the image side by side."""

    def __init__(self, in_channels: int, filters: int, *, style: _Style) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, filters, 3, stride=2, padding=1, bias=False)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.norm = TolerantBatchNorm2d(filters + in_channels)
        self.act = style.closing(filters + in_channels)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map (B, C, H, W) to (B, filters + C, H / 2, W / 2)."""
        joined = torch.cat((self.conv(images), self.pool(images)), dim=1)
        features: torch.Tensor = self.act(self.norm(joined))
        return features


class _Block(nn.Module):
    """Bottleneck: project to a quarter of the channels, convolve, expand, add the shortcut."""

    def __init__(
        self,
        channels: int,
        *,
        dropout: float,
        style: _Style,
        kind: int | Literal["asymmetric"] = 1,
    ) -> None:
        super().__init__()
        width = _narrow(channels)
        sides = [(5, 1), (1, 5)] if kind == "asymmetric" else [(3, 3)]
        dilation = 1 if kind == "asymmetric" else kind
        self.branch = nn.Sequential(
            _conv(channels, width, (1, 1), act=style.inner()),
            *(_conv(width, width, side, act=style.inner(), dilation=dilation) for side in sides),
            _conv(width, channels, (1, 1), act=style.inner()),
            nn.Dropout2d(dropout),
        )
        self.act = style.closing(channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to the same shape."""
        out: torch.Tensor = self.act(self.branch(features) + features)
        return out


class _DownBlock(nn.Module):
    """Downsampling bottleneck: a pooled path, padded with zero channels, and a convolutional one."""

    def __init__(
        self, in_channels: int, out_channels: int, *, dropout: float, style: _Style, layout: Layout
    ) -> None:
        super().__init__()
        width = _narrow(in_channels)
        self.pooling_kernel = layout.pooling_kernel
        self.missing = out_channels - in_channels
        self.branch = nn.Sequential(
            _conv(in_channels, width, (2, 2), act=style.inner(), stride=2),
            _conv(width, width, (3, 3), act=style.inner()),
            _conv(width, out_channels, (1, 1), act=style.inner()),
            nn.Dropout2d(dropout),
        )
        self.act = style.closing(out_channels)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map (B, C, h, w) to (B, D, h / 2, w / 2) and the indices of the maxima (B, C, h / 2, w / 2)."""
        kernel = self.pooling_kernel
        branch = self.branch(features)
        height, width = branch.shape[2:]
        pooled, places = (
            part[..., :height, :width]
            for part in F.max_pool2d(features, kernel, 2, padding=kernel // 3, return_indices=True)
        )
        return self.act(branch + F.pad(pooled, (0, 0, 0, 0, 0, self.missing))), places


class _UpBlock(nn.Module):
    """Upsampling bottleneck: an unpooled path and one with a transposed convolution."""

    def __init__(
        self, in_channels: int, out_channels: int, *, dropout: float, style: _Style, layout: Layout
    ) -> None:
        super().__init__()
        width = _narrow(in_channels)
        kernel = layout.upsampling_kernel
        self.main = _conv(in_channels, out_channels, (1, 1))
        self.narrow = _conv(in_channels, width, (1, 1), act=style.inner())
        self.up = nn.ConvTranspose2d(width, width, kernel, stride=2, padding=kernel // 3, bias=False)
        self.widen = nn.Sequential(
            TolerantBatchNorm2d(width),
            style.inner(),
            _conv(width, out_channels, (1, 1), act=style.inner() if layout.activates_expansion else None),
            nn.Dropout2d(dropout),
        )
        self.act = style.closing(out_channels)

    def forward(self, features: torch.Tensor, places: torch.Tensor, size: torch.Size) -> torch.Tensor:
        """Map (B, C, h, w) to (B, D, *size), unpooling the maxima to `places`."""
        main = F.max_unpool2d(self.main(features), places, [2, 2], output_size=size)
        branch = self.widen(self.up(self.narrow(features), output_size=size))
        out: torch.Tensor = self.act(branch + main)
        return out


def _narrow(channels: int) -> int:
    return max(channels // 4, 1)  # the paper's projection ratio


def _conv(
    in_channels: int,
    out_channels: int,
    kernel_size: tuple[int, int],
    *,
    act: nn.Module | None = None,
    stride: int = 1,
    dilation: int = 1,
) -> nn.Sequential:
    height, width = kernel_size
    padding = (0, 0) if stride > 1 else (dilation * (height // 2), dilation * (width // 2))
    block = nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, dilation, bias=False),
        TolerantBatchNorm2d(out_channels),
    )
    return block if act is None else block.append(act)


ENTRY = NetworkEntry(
    build=ENet,
    options=ENetOptions,
    title="ENet",
    paper="ENet: A Deep Neural Network Architecture for Real-Time Semantic Segmentation",
    year=2016,
    family="real time",
    url="https://arxiv.org/abs/1606.02147",
    output=DenseLogits,
    code="https://github.com/davidtvs/PyTorch-ENet",
    licence="MIT",
    good_for="Video on small devices: 0.35 million parameters, logits at full resolution.",
)
