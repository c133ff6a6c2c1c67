"""Decoder of nnU-Net: transposed convolutions, skip connections, and scores at several resolutions.

Reference: `UNetDecoder` of https://github.com/MIC-DKFZ/dynamic-network-architectures (Apache-2.0 licence).

Shape legend: B batch, K classes, *S spatial axes of the padded input, *s of one stage.
"""

from collections.abc import Sequence

import torch
from torch import nn

from limner.core.outputs import AuxiliaryLogits, DenseLogits
from limner.layers.anisotropic_convolution import ConvStyle, stack_convs
from limner.layers.dimensions import TRANSPOSED_CONVOLUTION
from limner.layers.fcn_head import PixelClassifier
from limner.layers.resize import cut


class SupervisedDecoder(nn.Module):
    """Upsample, concatenate the skip connection and convolve, stage by stage; score the finest ones."""

    def __init__(
        self,
        features: Sequence[int],
        kernels: Sequence[Sequence[int]],
        strides: Sequence[Sequence[int]],
        convs: Sequence[int],
        *,
        num_classes: int,
        auxiliary_heads: int,
        upsampling_bias: bool,
        style: ConvStyle,
    ) -> None:
        """Build the decoder.

        Args:
            features: Channels of each stage of the encoder, finest first.
            kernels: Kernel size of each stage of the decoder, coarsest first, for each axis.
            strides: Stride of each stage of the encoder, for each axis.
            convs: Number of convolutions of each stage of the decoder, coarsest first.
            num_classes: K.
            auxiliary_heads: Number of coarser resolutions that are scored in training.
            upsampling_bias: Whether transposed convolutions have a bias.
            style: Bias, normalisation, activation and dropout of the convolutions.
        """
        super().__init__()
        dims = len(kernels[0])
        self._strides = [tuple(stride) for stride in strides]
        levels = range(len(features) - 2, -1, -1)  # of the encoder, coarsest first
        self.ups = nn.ModuleList(
            TRANSPOSED_CONVOLUTION[dims](
                features[level + 1],
                features[level],
                tuple(strides[level + 1]),  # type: ignore[arg-type] # of 2 or 3 numbers
                stride=tuple(strides[level + 1]),  # type: ignore[arg-type]
                bias=upsampling_bias,
            )
            for level in levels
        )
        self.stages = nn.ModuleList(
            stack_convs(2 * features[level], features[level], kernel, count=count, style=style)
            for level, kernel, count in zip(levels, kernels, convs, strict=True)
        )
        self.heads = nn.ModuleList(
            PixelClassifier(features[level], num_classes, spatial_dims=dims)
            for level in range(1 + auxiliary_heads)
        )

    def forward(self, maps: Sequence[torch.Tensor], size: Sequence[int]) -> DenseLogits:
        """Score each voxel.

        Args:
            maps: Those of the encoder's stages, finest first.
            size: Size of the input before padding.

        Returns:
            Logits (B, K, *s) of the finest stage; in training also those of coarser ones. Their weights
            halve from one to the next and sum to 1, as in nnU-Net.
        """
        skips = list(maps)
        decoded = [skips.pop()]
        for up, stage in zip(self.ups, self.stages, strict=True):
            decoded.append(stage(torch.cat((up(decoded[-1]), skips.pop()), dim=1)))
        if not self.training:
            return DenseLogits(self._score(0, decoded[-1], size))
        shares = [0.5**level for level in range(len(self.heads))]
        weights = [share / sum(shares) for share in shares]
        main, *others = (self._score(level, decoded[-1 - level], size) for level in range(len(weights)))
        auxiliary = tuple(AuxiliaryLogits(*pair) for pair in zip(others, weights[1:], strict=True))
        return DenseLogits(main, auxiliary, weights[0])

    def _score(self, level: int, features: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
        """Return the logits of a level (B, K, *s), without those of padded voxels."""
        wanted = list(size)
        for stride in self._strides[: level + 1]:
            wanted = [-(-length // step) for length, step in zip(wanted, stride, strict=True)]
        return cut(self.heads[level](features), wanted)
