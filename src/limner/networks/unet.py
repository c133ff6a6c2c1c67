"""U-Net: an encoder and a decoder of equal depth, joined at every resolution.

Paper: U-Net: Convolutional Networks for Biomedical Image Segmentation (Ronneberger et al., MICCAI 2015),
https://arxiv.org/abs/1505.04597. The authors released Caffe models without a repository; the widths and the
order of the layers are those of the paper's figure 1.

What differs by default, and why: convolutions are padded and followed by batch normalisation, so that the
output has the size of the input and training from scratch is stable. `padding="valid", norm="none"` gives
exactly the paper's parameters. An image whose sides are no multiples of 16 is padded with zeros at its end;
milesial's Pytorch-UNet pads the upsampled maps instead, as `pads="maps"` does.

Shape legend: B batch, C channels, K classes, *S spatial axes.
"""

from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from limner.core.config import Config
from limner.core.outputs import AuxiliaryLogits, DenseLogits
from limner.layers.activation import ActivationName
from limner.layers.convolution import ConvNormAct
from limner.layers.dimensions import LINEAR_INTERPOLATION, MAX_POOL, TRANSPOSED_CONVOLUTION
from limner.layers.fcn_head import FCNHead
from limner.layers.initialization import initialize
from limner.layers.norm import NormName
from limner.layers.resize import cut, pad_to_multiple
from limner.networks.entry import NetworkEntry
from limner.networks.valid_padding import crop_centre, mirror_for_valid_convolutions

Width = Annotated[int, Field(gt=0)]


class UNetOptions(Config):
    """Options of `UNet`."""

    widths: Annotated[tuple[Width, ...], Field(min_length=2)] = (64, 128, 256, 512, 1024)
    """Channels at each resolution, finest first; their number is the depth plus one."""
    padding: Literal["same", "valid"] = "same"
    """`valid` convolutions have no padding and shrink the map, as in the paper."""
    mirror_input: bool = True
    """With `valid`, mirror the image at its borders so that the output covers all of it. Otherwise the
    output is smaller than the input, and only some input sizes work."""
    norm: NormName = "batch"
    """Normalisation after (or before) each convolution."""
    norm_affine: bool = True
    """Whether the normalisation learns a scale and a shift."""
    norm_first: bool = False
    """Normalise before each convolution instead of after it."""
    conv_bias: bool | None = None
    """Whether convolutions have a bias; defaults to true only without normalisation."""
    activation: ActivationName = "relu"
    """Activation of each block."""
    upsampling: Literal["transposed", "overlapping", "bilinear", "aligned", "nearest"] = "transposed"
    """2x2 transposed convolution; a 3x3 one with overlapping kernels; linear interpolation and a 1x1
    block; or interpolation without weights: linear with aligned corners, where the convolutions halve the
    channels, or nearest-neighbour."""
    pads: Literal["image", "maps"] = "image"
    """What is padded with zeros if pooling does not divide the image evenly: the image at its end, or each
    upsampled map, evenly on both sides, as in milesial's Pytorch-UNet."""
    upsampling_bias: bool = True
    """Whether transposed convolutions have a bias."""
    double_before_pool: bool = False
    """Double the channels in the second convolution of a level instead of its first, and keep them while
    upsampling, as in the 3D U-Net paper."""
    head_convs: Annotated[int, Field(ge=0)] = 0
    """Number of 3x3 blocks before the classifier."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Channel dropout rate before the classifier."""
    auxiliary: bool = False
    """Train an auxiliary head at half resolution."""


class UNet(nn.Module):
    """U-Net in 2D or 3D, of any width and depth, for inputs of any size."""

    def __init__(
        self, options: UNetOptions, *, num_classes: int, in_channels: int = 3, spatial_dims: int = 2
    ) -> None:
        super().__init__()
        widths = options.widths
        self.options = options
        self.depth = len(widths) - 1
        self.encoder = nn.ModuleList(
            _DoubleConv(
                narrow,
                wide // 2 if options.double_before_pool else wide,
                wide,
                options=options,
                spatial_dims=spatial_dims,
            )
            for narrow, wide in pairwise((in_channels, *widths))
        )
        self.pool = MAX_POOL[spatial_dims](2)
        # Upsampling that keeps the channels leaves it to the convolutions to reach the next width.
        outputs = (widths[0], *widths[:-2]) if options.upsampling == "aligned" else widths[:-1]
        self.decoder = nn.ModuleList(
            _UpBlock(below, skip, out, options=options, spatial_dims=spatial_dims)
            for below, skip, out in zip(
                (*outputs[1:], widths[-1])[::-1], widths[-2::-1], outputs[::-1], strict=True
            )
        )
        self.head: nn.Module = FCNHead(
            widths[0],
            widths[0],
            num_classes=num_classes,
            num_convs=options.head_convs,
            norm=options.norm,
            dropout=options.dropout,
            spatial_dims=spatial_dims,
        )
        self.auxiliary_head = (
            FCNHead(
                (*outputs, widths[-1])[1],
                widths[0],
                num_classes=num_classes,
                norm=options.norm,
                spatial_dims=spatial_dims,
            )
            if options.auxiliary
            else None
        )
        initialize(self)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, *S) float -> logits (B, K, *S)."""
        size = images.shape[2:]
        features = self._prepare(images)
        skips: list[torch.Tensor] = []
        for level, block in enumerate(self.encoder):
            features = block(self.pool(features) if level else features)  # (B, C_level, *S / 2**level)
            skips.append(features)
        features = skips.pop()
        auxiliary: tuple[AuxiliaryLogits, ...] = ()
        for block in self.decoder:
            if self.training and self.auxiliary_head is not None and len(skips) == 1:
                auxiliary = (AuxiliaryLogits(self.auxiliary_head(features), 0.4),)
            left = len(skips) - 1
            features = block(features, skips)
            del skips[left:]  # the block has taken it, unless a hook gave it a copy of the list
        logits = self.head(features)
        return DenseLogits(self._crop(logits, size), auxiliary)

    def _prepare(self, images: torch.Tensor) -> torch.Tensor:
        """Pad the input to a size that is divisible by all pooling steps."""
        if self.options.padding == "same" and self.options.pads == "maps":
            return images
        if self.options.padding == "same":
            return pad_to_multiple(images, 2**self.depth)  # zeros, as the convolutions pad
        if self.options.mirror_input:
            return mirror_for_valid_convolutions(images, depth=self.depth)
        return images

    def _crop(self, logits: torch.Tensor, size: torch.Size) -> torch.Tensor:
        """Crop the padding that `_prepare` added after the image."""
        if self.options.padding == "valid" and not self.options.mirror_input:
            return logits
        return cut(logits, size)


class _DoubleConv(nn.Sequential):
    """Two 3x3 blocks."""

    def __init__(
        self, in_channels: int, middle: int, out_channels: int, *, options: UNetOptions, spatial_dims: int
    ) -> None:
        super().__init__(
            *(
                ConvNormAct(
                    narrow,
                    wide,
                    padding=1 if options.padding == "same" else 0,
                    bias=options.conv_bias,
                    norm=options.norm,
                    norm_affine=options.norm_affine,
                    norm_first=options.norm_first,
                    activation=options.activation,
                    spatial_dims=spatial_dims,
                )
                for narrow, wide in ((in_channels, middle), (middle, out_channels))
            )
        )


class _UpBlock(nn.Module):
    """Upsample by two, concatenate the skip connection, two 3x3 blocks."""

    def __init__(
        self,
        in_channels: int,
        skip_channels: int,
        out_channels: int,
        *,
        options: UNetOptions,
        spatial_dims: int,
    ) -> None:
        super().__init__()
        self._pads = options.pads == "maps" and options.padding == "same"
        keeps_width = options.double_before_pool or options.upsampling in ("nearest", "aligned")
        up_channels = in_channels if keeps_width and options.upsampling != "overlapping" else skip_channels
        self.up: nn.Module
        if options.upsampling == "transposed":
            self.up = TRANSPOSED_CONVOLUTION[spatial_dims](
                in_channels, up_channels, 2, stride=2, bias=options.upsampling_bias
            )
        elif options.upsampling == "overlapping":
            self.up = _OverlappingSteps(
                in_channels, up_channels, bias=options.upsampling_bias, spatial_dims=spatial_dims
            )
        elif options.upsampling == "bilinear":
            self.up = nn.Sequential(
                nn.Upsample(scale_factor=2, mode=LINEAR_INTERPOLATION[spatial_dims], align_corners=False),
                ConvNormAct(
                    in_channels,
                    up_channels,
                    1,
                    norm=options.norm,
                    activation=options.activation,
                    spatial_dims=spatial_dims,
                ),
            )
        elif options.upsampling == "aligned":
            mode = LINEAR_INTERPOLATION[spatial_dims]
            self.up = nn.Upsample(scale_factor=2, mode=mode, align_corners=True)
        else:
            self.up = nn.Upsample(scale_factor=2, mode="nearest")
        joined = up_channels + skip_channels
        middle = joined // 2 if options.upsampling == "aligned" else out_channels
        self.convs = _DoubleConv(joined, middle, out_channels, options=options, spatial_dims=spatial_dims)

    def forward(self, features: torch.Tensor, skips: list[torch.Tensor]) -> torch.Tensor:
        """Merge (B, C, *S) with the last skip connection, of at least twice its size, which is taken away.

        Both are released before the convolutions, which need most of the memory of a prediction.
        """
        joined: torch.Tensor = self.convs(self._joined(features, skips.pop()))
        return joined

    def _joined(self, features: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        features = self.up(features)
        if self._pads:
            features = _pad_centre(features, skip.shape[2:])
        return torch.cat((crop_centre(skip, features.shape[2:]), features), dim=1)


def _pad_centre(features: torch.Tensor, size: torch.Size) -> torch.Tensor:
    """Pad (B, C, *S) with zeros to (B, C, *size), an odd number with one more at the end."""
    lacking = [want - have for have, want in zip(features.shape[2:], size, strict=True)]
    return F.pad(features, [n for lack in reversed(lacking) for n in (lack // 2, lack - lack // 2)])


class _OverlappingSteps(nn.Module):
    """3x3 transposed convolution; the first pixel on each axis is repeated to reach twice the size.

    As in wolny's pytorch-3dunet (MIT licence), https://github.com/wolny/pytorch-3dunet.
    """

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool, spatial_dims: int) -> None:
        super().__init__()
        self.conv = TRANSPOSED_CONVOLUTION[spatial_dims](
            in_channels, out_channels, 3, stride=2, padding=1, bias=bias
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, C, *S) to (B, D, *(2 S))."""
        size = [2 * length for length in features.shape[2:]]
        return F.interpolate(self.conv(features), size=size, mode="nearest")


ENTRY = NetworkEntry(
    build=UNet,
    options=UNetOptions,
    title="U-Net",
    paper="U-Net: Convolutional Networks for Biomedical Image Segmentation",
    year=2015,
    family="encoder-decoder",
    url="https://arxiv.org/abs/1505.04597",
    output=DenseLogits,
    spatial_dims=(2, 3),
    good_for="Fine structures with few images and any number of channels, without pretrained weights.",
    remark="If the sides are no multiples of 16, the image is padded with zeros, and scores near its borders "
    "differ from those of milesial's Pytorch-UNet, which pads maps; `pads='maps'` gives the same.",
    variants={
        "": {},
        "half width": {"widths": (32, 64, 128, 256, 512)},
        "as in the paper": {"padding": "valid", "norm": "none"},
        "upsampling without weights": {"widths": (64, 128, 256, 512, 512), "upsampling": "aligned"},
    },
)
