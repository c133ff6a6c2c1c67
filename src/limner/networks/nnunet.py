"""nnU-Net: a U-Net whose stages, kernels and strides follow from the voxels of the data.

Paper: nnU-Net: a self-configuring method for deep learning-based biomedical image segmentation (Isensee et
al., Nature Methods 2021), https://doi.org/10.1038/s41592-020-01008-z. Authors' code:
https://github.com/MIC-DKFZ/dynamic-network-architectures (Apache-2.0 licence), `PlainConvUNet`. With
`conv_bias=False` and `residual` it is also MONAI's `DynUNet`. `nnunet_topology` gives the authors' stages for
a patch and a spacing.

What differs, and why: inputs of any size are padded with zeros at their end to multiples of the strides; and
the coarsest auxiliary head is omitted, since the authors' training weighs its loss with 0 (`auxiliary_heads`
adds it).

Shape legend: B batch, C channels, K classes, *S spatial axes.
"""

from itertools import pairwise
from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from torch import nn

from limner.core.config import Config
from limner.core.errors import ConfigError
from limner.core.outputs import DenseLogits
from limner.layers.activation import ActivationName
from limner.layers.anisotropic_convolution import ConvStyle, stack_convs
from limner.layers.initialization import initialize, initialize_transposed
from limner.layers.norm import NormName
from limner.layers.residual_block import ResidualBlock
from limner.layers.resize import pad_to_multiple
from limner.layers.supervised_decoder import SupervisedDecoder
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width
from limner.networks.stages import (
    PerStage,
    PerStageAndAxis,
    divisors,
    numbers_of_stages,
    odd_kernels,
    sizes_of_stages,
)


class StagedUNetOptions(Config):
    """Options of `NnUNet` and `ResidualNnUNet`."""

    features: Annotated[tuple[Width, ...], Field(min_length=2)] = (32, 64, 128, 256, 320, 320)
    """Channels of each stage, finest first; nnU-Net doubles 32 up to 320 in 3D and up to 512 in 2D."""
    kernels: PerStageAndAxis | None = None
    """Kernel size of each stage, one number or one for each axis; defaults to 3."""
    strides: PerStageAndAxis | None = None
    """Stride of each stage, one number or one for each axis; defaults to 1 in the first and 2 in the
    others."""
    decoder_kernels: PerStageAndAxis | None = None
    """Kernel size of each stage of the decoder, coarsest first; defaults to those of the encoder."""
    conv_bias: bool = True
    """Whether convolutions have a bias."""
    upsampling_bias: bool | None = None
    """Whether transposed convolutions have a bias; defaults to `conv_bias`."""
    norm: NormName = "instance"
    """Normalisation after each convolution."""
    norm_affine: bool = True
    """Whether the normalisation learns a scale and a shift."""
    activation: ActivationName = "leaky_relu"
    """Activation of each block."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Channel dropout rate after each convolution."""
    auxiliary_heads: Annotated[int, Field(ge=0)] | None = None
    """Number of coarser resolutions that are also scored in training (deep supervision), with weights that
    halve from one to the next; defaults to all but the bottleneck and the stage above it."""


class NnUNetOptions(StagedUNetOptions):
    """Options of `NnUNet`."""

    convs: PerStage = 2
    """Number of convolutions of each stage of the encoder."""
    decoder_convs: PerStage = 2
    """Number of convolutions of each stage of the decoder, coarsest first."""
    residual: bool = False
    """Stages of the encoder are residual blocks of two convolutions, as in MONAI's DynUNet with
    `res_block`."""
    activation_first: bool = False
    """Activate before normalising."""


class NnUNet(nn.Module):
    """U-Net in 2D or 3D with strided convolutions and deep supervision."""

    def __init__(
        self, options: NnUNetOptions, *, num_classes: int, in_channels: int = 3, spatial_dims: int = 2
    ) -> None:
        super().__init__()
        shape = stage_shape(options, spatial_dims)
        style = build_style(options, activation_first=options.activation_first)
        convs = numbers_of_stages(options.convs, len(options.features), "convs")
        self.multiple = divisors(shape.strides)
        self.encoder = nn.ModuleList(
            ResidualBlock(narrow, wide, kernel, stride=stride, style=style)
            if options.residual
            else stack_convs(narrow, wide, kernel, count=count, stride=stride, style=style)
            for (narrow, wide), kernel, stride, count in zip(
                pairwise((in_channels, *options.features)), shape.kernels, shape.strides, convs, strict=True
            )
        )
        self.decoder = build_decoder(
            options, shape, options.decoder_convs, num_classes=num_classes, style=style
        )
        initialize(self)
        initialize_transposed(self)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, *S) float -> logits (B, K, *S)."""
        features = pad_to_multiple(images, self.multiple)
        maps = []
        for stage in self.encoder:
            features = stage(features)
            maps.append(features)
        logits: DenseLogits = self.decoder(maps, images.shape[2:])
        return logits


class StageShape(NamedTuple):
    """Kernel sizes and strides for each axis: of the encoder finest first, of the decoder coarsest first."""

    kernels: list[tuple[int, ...]]
    strides: list[tuple[int, ...]]
    decoder_kernels: list[tuple[int, ...]]


def stage_shape(options: StagedUNetOptions, spatial_dims: int) -> StageShape:
    """Return kernels and strides for each stage and axis.

    Raises:
        ConfigError: Their numbers differ from those of the stages or axes, or a kernel is even.
    """
    count = len(options.features)
    kernels = sizes_of_stages(options.kernels, [3] * count, spatial_dims, "kernels")
    odd_kernels(kernels, "kernels")
    strides = sizes_of_stages(options.strides, [1] + [2] * (count - 1), spatial_dims, "strides")
    if options.decoder_kernels is None:
        return StageShape(kernels, strides, kernels[-2::-1])
    decoder = sizes_of_stages(options.decoder_kernels, [3] * (count - 1), spatial_dims, "decoder_kernels")
    odd_kernels(decoder, "decoder_kernels")
    return StageShape(kernels, strides, decoder)


def build_style(options: StagedUNetOptions, *, activation_first: bool = False) -> ConvStyle:
    """Return what all convolutions of the network have in common."""
    return ConvStyle(
        bias=options.conv_bias,
        norm=options.norm,
        norm_affine=options.norm_affine,
        activation=options.activation,
        activation_first=activation_first,
        dropout=options.dropout,
    )


def build_decoder(
    options: StagedUNetOptions, shape: StageShape, convs: PerStage, *, num_classes: int, style: ConvStyle
) -> SupervisedDecoder:
    """Build the decoder with its heads.

    Raises:
        ConfigError: There are more auxiliary heads than stages.
    """
    stages = len(options.features) - 1
    heads = max(stages - 2, 0) if options.auxiliary_heads is None else options.auxiliary_heads
    if heads >= stages:
        raise ConfigError(
            f"auxiliary_heads must be below the number of stages of the decoder, {stages}; found {heads}."
        )
    bias = options.conv_bias if options.upsampling_bias is None else options.upsampling_bias
    return SupervisedDecoder(
        options.features,
        shape.decoder_kernels,
        shape.strides,
        numbers_of_stages(convs, stages, "decoder_convs"),
        num_classes=num_classes,
        auxiliary_heads=heads,
        upsampling_bias=bias,
        style=style,
    )


ENTRY = NetworkEntry(
    build=NnUNet,
    options=NnUNetOptions,
    title="nnU-Net",
    paper="nnU-Net: a self-configuring method for deep learning-based biomedical image segmentation",
    year=2021,
    family="medical",
    url="https://doi.org/10.1038/s41592-020-01008-z",
    output=DenseLogits,
    spatial_dims=(3, 2),
    takes_topology=True,
    code="https://github.com/MIC-DKFZ/dynamic-network-architectures",
    licence="Apache-2.0",
    good_for="CT and MR of any voxel size, trained from scratch.",
    remark="The authors' count includes the head of the coarsest stage, whose loss they weigh with 0.",
    variants={
        "": {},
        "7 stages up to 512": {"features": (32, 64, 128, 256, 512, 512, 512)},
        "half width": {"features": (16, 32, 64, 128, 160, 160)},
    },
)
