"""Activations by name."""

from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import nn

ActivationName = Literal["none", "relu", "leaky_relu", "elu", "prelu", "gelu", "silu", "hardswish"]

_WITHOUT_PARAMETERS: dict[str, Callable[[], nn.Module]] = {
    "none": nn.Identity,
    "relu": partial(nn.ReLU, inplace=True),
    "leaky_relu": partial(nn.LeakyReLU, 0.01, inplace=True),
    "elu": partial(nn.ELU, inplace=True),
    "gelu": nn.GELU,
    "silu": partial(nn.SiLU, inplace=True),
    "hardswish": partial(nn.Hardswish, inplace=True),
}


def build_activation(name: ActivationName, channels: int = 1) -> nn.Module:
    """Build an activation by name; `prelu` learns one slope per channel, or a shared one by default.

    Activations without parameters run in place, which saves memory. This is safe after a convolution or a
    normalisation, since neither needs its output to compute gradients.
    """
    return nn.PReLU(channels) if name == "prelu" else _WITHOUT_PARAMETERS[name]()
