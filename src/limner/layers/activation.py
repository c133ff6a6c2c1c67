"""Activations by name."""

from typing import Literal

from torch import nn

ActivationName = Literal["none", "relu", "leaky_relu", "prelu", "gelu", "silu", "hardswish"]


def build_activation(name: ActivationName, channels: int = 1) -> nn.Module:
    """Return the activation called `name`; `prelu` learns one slope for each of `channels`, or a shared one.

    The plain rectifiers overwrite their input, which saves one map each: safe behind a convolution or a
    normalisation, since neither needs its own output to compute gradients.
    """
    if name == "relu":
        return nn.ReLU(inplace=True)
    if name == "leaky_relu":
        return nn.LeakyReLU(0.01, inplace=True)
    if name == "prelu":
        return nn.PReLU(channels)
    if name == "gelu":
        return nn.GELU()
    if name == "silu":
        return nn.SiLU(inplace=True)
    if name == "hardswish":
        return nn.Hardswish(inplace=True)
    return nn.Identity()
