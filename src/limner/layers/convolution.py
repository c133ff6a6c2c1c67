"""The basic block of most networks: convolution, normalisation, activation."""

from torch import nn

from limner.layers.activation import ActivationName, build_activation
from limner.layers.dimensions import CONVOLUTION
from limner.layers.norm import NormName, build_norm


class ConvNormAct(nn.Sequential):
    """Convolution, normalisation and activation, in this order or with normalisation first.

    Submodules are named ``conv``, ``norm`` and ``act``; identities are omitted.
    """

    conv: nn.Conv2d | nn.Conv3d
    norm: nn.Module
    act: nn.Module

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        padding: int | None = None,
        bias: bool | None = None,
        norm: NormName = "batch",
        norm_affine: bool = True,
        norm_groups: int = 8,
        norm_first: bool = False,
        activation: ActivationName = "relu",
        spatial_dims: int = 2,
    ) -> None:
        """Build the block.

        Args:
            in_channels: Channels of the input.
            out_channels: Channels of the output.
            kernel_size: Kernel size; odd values keep the size of the map.
            stride: Stride.
            dilation: Dilation of the kernel.
            groups: Number of channel groups.
            padding: Zero padding at each border; None keeps the size at stride 1.
            bias: Whether the convolution has a bias; None means only without normalisation.
            norm: Name of the normalisation.
            norm_affine: Whether the normalisation learns a scale and a shift.
            norm_groups: Preferred number of groups of a group normalisation.
            norm_first: Normalise the input of the convolution instead of its output.
            activation: Name of the activation; `prelu` has a slope per channel.
            spatial_dims: 2 or 3.
        """
        super().__init__()
        normalization = build_norm(
            norm,
            in_channels if norm_first else out_channels,
            spatial_dims=spatial_dims,
            affine=norm_affine,
            groups=norm_groups,
        )
        convolution = CONVOLUTION[spatial_dims](
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            dilation=dilation,
            groups=groups,
            padding=dilation * (kernel_size // 2) if padding is None else padding,
            bias=norm == "none" if bias is None else bias,
        )
        parts: list[tuple[str, nn.Module]] = [("conv", convolution), ("norm", normalization)]
        if norm_first:
            parts.reverse()
        for name, part in [*parts, ("act", build_activation(activation, out_channels))]:
            if not isinstance(part, nn.Identity):
                self.add_module(name, part)


class SeparableConvNormAct(nn.Sequential):
    """Depthwise separable convolution with normalisation and activation.

    With 3x3 kernels, about nine times fewer operations than a full convolution.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        dilation: int = 1,
        act_between: bool = True,
    ) -> None:
        """Build the block; `act_between` also normalises and activates after the depthwise convolution."""
        super().__init__()
        self.depthwise = ConvNormAct(
            in_channels,
            in_channels,
            kernel_size,
            dilation=dilation,
            groups=in_channels,
            norm="batch" if act_between else "none",
            activation="relu" if act_between else "none",
            bias=False,
        )
        self.pointwise = ConvNormAct(in_channels, out_channels, 1)
