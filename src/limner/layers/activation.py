"""Activations by name."""

from typing import Literal

from torch import nn

ActivationName = Literal["none", "relu", "leaky_relu", "elu", "prelu", "gelu", "silu", "hardswish"]


def build_activation(name: ActivationName, channels: int = 1) -> nn.Module:
    """Build an activation by name; `prelu` learns one slope per channel, or a shared one by default.

    Activations without parameters run in place, which saves memory. This is safe after a convolution or a
    normalisation, since neither needs its output to compute gradients.
    """
    if name == "relu":
        return nn.ReLU(inplace=True)
    if name == "leaky_relu":
        return nn.LeakyReLU(0.01, inplace=True)
    if name == "elu":
        return nn.ELU(inplace=True)
    if name == "prelu":
        return nn.PReLU(channels)
    if name == "gelu":
        return nn.GELU()
    if name == "silu":
        return nn.SiLU(inplace=True)
    if name == "hardswish":
        return nn.Hardswish(inplace=True)
    return nn.Identity()
