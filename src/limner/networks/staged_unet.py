"""Base of nnU-Net's networks: stages of any kernel and stride, and a decoder with deep supervision.

Shape legend: B batch, K classes, *S spatial axes.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from torch import nn

from limner.core.config import Config
from limner.core.errors import ConfigError
from limner.core.outputs import DenseLogits
from limner.layers.activation import ActivationName
from limner.layers.anisotropic_convolution import ConvStyle
from limner.layers.initialization import initialize, initialize_transposed
from limner.layers.norm import NormName
from limner.layers.resize import pad_to_multiple
from limner.layers.supervised_decoder import SupervisedDecoder
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
    """Options of every `StagedUNet`."""

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


class StageShape(NamedTuple):
    """Kernel sizes and strides for each axis: of the encoder finest first, of the decoder coarsest first."""

    kernels: list[tuple[int, ...]]
    strides: list[tuple[int, ...]]
    decoder_kernels: list[tuple[int, ...]]


class EncoderStage(NamedTuple):
    """What a stage of the encoder is built from."""

    level: int
    in_channels: int
    out_channels: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...]


class StagedUNet(nn.Module):
    """U-Net in 2D or 3D with strided stages and deep supervision; subclasses say what a stage is.

    Args:
        options: The network's options.
        shape: Kernels and strides.
        build_stage: Builds a stage of the encoder.
        stem: Maps the image to the input of the first stage; None for the image itself.
        stem_channels: Channels of that input.
        decoder_convs: Number of convolutions of each stage of the decoder.
        num_classes: K.
        style: What all convolutions have in common.
    """

    def __init__(
        self,
        options: StagedUNetOptions,
        shape: StageShape,
        build_stage: Callable[[EncoderStage], nn.Module],
        *,
        stem: nn.Module | None = None,
        stem_channels: int,
        decoder_convs: PerStage,
        num_classes: int,
        style: ConvStyle,
    ) -> None:
        super().__init__()
        self.multiple = divisors(shape.strides)
        self.stem = nn.Identity() if stem is None else stem
        channels = pairwise((stem_channels, *options.features))
        self.encoder = nn.ModuleList(
            build_stage(EncoderStage(level, *widths, kernel, stride))
            for level, (widths, kernel, stride) in enumerate(
                zip(channels, shape.kernels, shape.strides, strict=True)
            )
        )
        self.decoder = _build_decoder(options, shape, decoder_convs, num_classes=num_classes, style=style)
        initialize(self)
        initialize_transposed(self)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, *S) float -> logits (B, K, *S)."""
        features = self.stem(pad_to_multiple(images, self.multiple))
        maps = []
        for stage in self.encoder:
            features = stage(features)
            maps.append(features)
        logits: DenseLogits = self.decoder(maps, images.shape[2:])
        return logits


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


def _build_decoder(
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
