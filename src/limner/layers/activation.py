"""Activations by name."""

from typing import Literal

from torch import nn

ActivationName = Literal["none", "relu", "leaky_relu", "gelu", "silu"]


def build_activation(name: ActivationName) -> nn.Module:
    """Return the activation called `name`.

    The rectifiers overwrite their input, which saves one map each: safe behind a convolution or a
    normalisation, since neither needs its own output to compute gradients.
    """
    if name == "relu":
        return nn.ReLU(inplace=True)
    if name == "leaky_relu":
        return nn.LeakyReLU(0.01, inplace=True)
    if name == "gelu":
        return nn.GELU()
    if name == "silu":
        return nn.SiLU(inplace=True)
    return nn.Identity()
