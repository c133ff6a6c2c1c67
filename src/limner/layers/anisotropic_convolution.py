"""Convolution with a kernel size and stride for each axis, as in networks for voxels that are no cubes.

Shape legend: B batch, C input channels, D output channels, *S spatial axes, *s those of the output.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import nn

from limner.layers.activation import ActivationName, build_activation
from limner.layers.dimensions import CONVOLUTION, DROPOUT
from limner.layers.norm import NormName, build_norm


@dataclass(frozen=True)
class ConvStyle:
    """What all convolutions of a network have in common.

    Attributes:
        bias: Whether convolutions have a bias.
        norm: Name of the normalisation.
        norm_affine: Whether the normalisation learns a scale and a shift.
        activation: Name of the activation; `prelu` has a slope for each channel.
        activation_first: Activate before normalising.
        dropout: Channel dropout rate after each convolution.
    """

    bias: bool = False
    norm: NormName = "instance"
    norm_affine: bool = True
    activation: ActivationName = "leaky_relu"
    activation_first: bool = False
    dropout: float = 0.0

    def linear(self, *, bias: bool | None = None) -> "ConvStyle":
        """Return the style without activation and dropout, and with `bias` if given."""
        return replace(self, activation="none", dropout=0.0, bias=self.bias if bias is None else bias)


class AnisotropicConv(nn.Sequential):
    """Convolution, dropout, normalisation and activation: (B, C, *S) -> (B, D, *s).

    Submodules are named ``conv``, ``dropout``, ``norm`` and ``act``; identities are omitted.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Sequence[int],
        *,
        stride: Sequence[int] | None = None,
        style: ConvStyle,
    ) -> None:
        """Build the block.

        Args:
            in_channels: C.
            out_channels: D.
            kernel: Kernel size of each spatial axis, odd.
            stride: Stride of each spatial axis; defaults to 1.
            style: Bias, normalisation, activation and dropout.
        """
        super().__init__()
        dims = len(kernel)
        self.add_module(
            "conv",
            CONVOLUTION[dims](
                in_channels,
                out_channels,
                tuple(kernel),  # type: ignore[arg-type] # of 2 or 3 numbers
                stride=tuple(stride or [1] * dims),  # type: ignore[arg-type]
                padding=tuple(side // 2 for side in kernel),  # type: ignore[arg-type]
                bias=style.bias,
            ),
        )
        if style.dropout:
            self.add_module("dropout", DROPOUT[dims](style.dropout))
        parts = [
            ("norm", build_norm(style.norm, out_channels, spatial_dims=dims, affine=style.norm_affine)),
            ("act", build_activation(style.activation, out_channels)),
        ]
        for name, part in reversed(parts) if style.activation_first else parts:
            if not isinstance(part, nn.Identity):
                self.add_module(name, part)


def stack_convs(
    in_channels: int,
    out_channels: int,
    kernel: Sequence[int],
    *,
    count: int,
    stride: Sequence[int] | None = None,
    style: ConvStyle,
) -> nn.Sequential:
    """Build `count` blocks, the first with the stride; the arguments are those of `AnisotropicConv`."""
    return nn.Sequential(
        *(
            AnisotropicConv(
                out_channels if index else in_channels,
                out_channels,
                kernel,
                stride=None if index else stride,
                style=style,
            )
            for index in range(count)
        )
    )
