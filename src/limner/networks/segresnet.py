"""SegResNet: a residual encoder and a light decoder whose maps are added to those of the encoder.

Paper: 3D MRI brain tumor segmentation using autoencoder regularization (Myronenko, BrainLes 2018),
https://arxiv.org/abs/1810.11654. Reference: https://github.com/Project-MONAI/MONAI (Apache-2.0 licence),
`SegResNet`, which omits the paper's variational autoencoder.

What differs, and why: inputs of any size are padded with zeros at their end to multiples of the coarsest
stride.

Shape legend: B batch, C channels, K classes, *S spatial axes.
"""

from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from limner.core.config import Config
from limner.core.errors import ConfigError
from limner.core.outputs import DenseLogits
from limner.layers.activation import ActivationName, build_activation
from limner.layers.dimensions import CONVOLUTION, DROPOUT, LINEAR_INTERPOLATION, TRANSPOSED_CONVOLUTION
from limner.layers.fcn_head import PixelClassifier
from limner.layers.initialization import initialize
from limner.layers.norm import NormName, build_norm
from limner.layers.resize import cut, pad_to_multiple
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width


class SegResNetOptions(Config):
    """Options of `SegResNet`."""

    width: Width = 32
    """Channels of the first stage; each further stage doubles them. MONAI's default is 8."""
    blocks: Annotated[tuple[Width, ...], Field(min_length=2)] = (1, 2, 2, 4)
    """Number of residual blocks of each stage of the encoder."""
    decoder_blocks: tuple[Width, ...] = (1, 1, 1)
    """Number of residual blocks of each stage of the decoder, coarsest first."""
    norm: NormName = "group"
    """Normalisation before each convolution."""
    norm_affine: bool = True
    """Whether the normalisation learns a scale and a shift."""
    norm_groups: Width = 8
    """Number of groups of a group normalisation."""
    activation: ActivationName = "relu"
    """Activation before each convolution."""
    upsampling: Literal["linear", "transposed"] = "linear"
    """Linear interpolation, or a 2x2 transposed convolution."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Channel dropout rate after the first convolution; the paper's is 0.2."""


class SegResNet(nn.Module):
    """SegResNet in 2D or 3D."""

    def __init__(
        self, options: SegResNetOptions, *, num_classes: int, in_channels: int = 3, spatial_dims: int = 2
    ) -> None:
        super().__init__()
        steps = len(options.blocks) - 1
        if len(options.decoder_blocks) != steps:
            raise ConfigError(
                f"segresnet: decoder_blocks needs one number less than blocks, {steps}; found "
                f"{len(options.decoder_blocks)}."
            )
        convolution = CONVOLUTION[spatial_dims]
        widths = [options.width * 2**level for level in range(steps + 1)]
        self.multiple = 2**steps
        self.stem = convolution(in_channels, options.width, 3, padding=1, bias=False)
        self.dropout = DROPOUT[spatial_dims](options.dropout)
        self.downs = nn.ModuleList(
            convolution(narrow, wide, 3, stride=2, padding=1, bias=False) for narrow, wide in pairwise(widths)
        )
        self.encoder = nn.ModuleList(
            _build_blocks(width, count, options, spatial_dims)
            for width, count in zip(widths, options.blocks, strict=True)
        )
        self.ups = nn.ModuleList(
            nn.Sequential(
                convolution(wide, narrow, 1, bias=False),
                _build_upsampling(narrow, options, spatial_dims),
            )
            for wide, narrow in pairwise(reversed(widths))
        )
        self.decoder = nn.ModuleList(
            _build_blocks(width, count, options, spatial_dims)
            for width, count in zip(widths[-2::-1], options.decoder_blocks, strict=True)
        )
        self.norm = _build_norm(options.width, options, spatial_dims)
        self.act = build_activation(options.activation, options.width)
        self.head = PixelClassifier(options.width, num_classes, spatial_dims=spatial_dims)
        initialize(self)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, *S) float -> logits (B, K, *S)."""
        features = self.dropout(self.stem(pad_to_multiple(images, self.multiple)))
        skips = [self.encoder[0](features)]
        for down, stage in zip(self.downs, self.encoder[1:], strict=True):
            skips.append(stage(down(skips[-1])))
        features = skips.pop()
        for up, stage in zip(self.ups, self.decoder, strict=True):
            features = stage(up(features) + skips.pop())
        logits = self.head(self.act(self.norm(features)))
        return DenseLogits(cut(logits, images.shape[2:]))


class _Block(nn.Module):
    """Two times normalisation, activation and convolution, plus the input."""

    def __init__(self, channels: int, options: SegResNetOptions, spatial_dims: int) -> None:
        super().__init__()
        self.norm1 = _build_norm(channels, options, spatial_dims)
        self.act1 = build_activation(options.activation, channels)
        self.conv1 = CONVOLUTION[spatial_dims](channels, channels, 3, padding=1, bias=False)
        self.norm2 = _build_norm(channels, options, spatial_dims)
        self.act2 = build_activation(options.activation, channels)
        self.conv2 = CONVOLUTION[spatial_dims](channels, channels, 3, padding=1, bias=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, C, *S) to (B, C, *S)."""
        branch = self.conv1(self.act1(self.norm1(features)))
        out: torch.Tensor = self.conv2(self.act2(self.norm2(branch))) + features
        return out


def _build_blocks(channels: int, count: int, options: SegResNetOptions, spatial_dims: int) -> nn.Sequential:
    return nn.Sequential(*(_Block(channels, options, spatial_dims) for _ in range(count)))


def _build_norm(channels: int, options: SegResNetOptions, spatial_dims: int) -> nn.Module:
    return build_norm(
        options.norm,
        channels,
        spatial_dims=spatial_dims,
        affine=options.norm_affine,
        groups=options.norm_groups,
    )


def _build_upsampling(channels: int, options: SegResNetOptions, spatial_dims: int) -> nn.Module:
    if options.upsampling == "transposed":
        return TRANSPOSED_CONVOLUTION[spatial_dims](channels, channels, 2, stride=2)
    return nn.Upsample(scale_factor=2, mode=LINEAR_INTERPOLATION[spatial_dims], align_corners=False)


ENTRY = NetworkEntry(
    build=SegResNet,
    options=SegResNetOptions,
    title="SegResNet",
    paper="3D MRI brain tumor segmentation using autoencoder regularization",
    year=2018,
    family="medical",
    url="https://arxiv.org/abs/1810.11654",
    output=DenseLogits,
    spatial_dims=(3, 2),
    code="https://github.com/Project-MONAI/MONAI",
    licence="Apache-2.0",
    good_for="Tumours and organs in MR and CT with small batches.",
    variants={"": {}, "quarter width": {"width": 8}},
)
