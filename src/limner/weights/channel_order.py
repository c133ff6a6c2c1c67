"""The order of channels that a network was trained on: red, green, blue, or reversed as OpenCV reads images.

Shape legend: B batch, C channels, H and W an image's height and width.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from limner.core.errors import ModelError, describe
from limner.weights.how_read import ChannelOrder
from limner.weights.tensor_table import TensorTable

FACT = "channel order"
"""Topic of the order among the facts of an import; what is said of it begins with RGB or BGR."""

CHANNELS = 3

_SIDE = 64
_ALIKE = 1e-4
"""Difference of outputs, in multiples of the largest, that rounding explains."""


def inferred_order(facts: Mapping[str, str]) -> ChannelOrder:
    """Return the order that an import has inferred, RGB if nothing is said of it."""
    return "bgr" if facts.get(FACT, "").startswith("BGR") else "rgb"


def reverse_input(network: nn.Module, where: Path | str) -> tuple[str, ...]:
    """Reverse the channels of the layers that read the image, so that it takes BGR for RGB, or the reverse.

    Args:
        network: Takes (B, 3, H, W); changed in place, in evaluation mode.
        where: The checkpoint, for the message.

    Returns:
        Names of the weights that were changed.

    Raises:
        ModelError: The network does not read the image by convolutions alone, or has not three channels; it
            is unchanged then.
    """
    images = torch.randn(1, CHANNELS, _SIDE, _SIDE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        layers = _layers_on_images(network, images)
        expected = network(images.flip(1)).tensors() if layers else {}
        _flip(layers.values())
        found = network(images).tensors() if layers else {}
    if layers and all(_is_same(found[name], tensor) for name, tensor in expected.items()):
        return tuple(f"{name}.weight" for name in layers)
    _flip(layers.values())
    raise ModelError(
        describe(
            "The channels of this network cannot be reversed",
            where=where,
            found="a network of another number of channels, or one that reads the image in other layers than "
            "convolutions",
            fix="Leave out checkpoint.channel_order, and reverse the channels of the images.",
        )
    )


def is_reversible(network: nn.Module) -> bool:
    """Return whether `reverse_input` can change a network; it stays as it is."""
    try:
        for _ in range(2):
            reverse_input(network, "")
    except ModelError:
        return False
    return True


def with_reversed(table: TensorTable, names: Iterable[str], order: ChannelOrder) -> TensorTable:
    """Return the account of an import after `reverse_input`.

    Args:
        table: The account before.
        names: The checkpoint's names of the changed weights.
        order: The order of the training.
    """
    what = "BGR to RGB" if order == "bgr" else "taken as RGB, as you set it"
    theirs = set(names)
    changed = {name: "; ".join(filter(None, (table.reshaped.get(name), what))) for name in theirs}
    return replace(
        table,
        used=tuple(name for name in table.used if name not in theirs),
        renamed={name: ours for name, ours in table.renamed.items() if name not in theirs},
        reshaped={**table.reshaped, **changed},
    )


def _layers_on_images(network: nn.Module, images: torch.Tensor) -> dict[str, nn.Conv2d]:
    """Return name -> convolution whose input has the values of the images and zeros alone."""
    values = torch.cat((images.flatten(), torch.zeros(1)))
    found: dict[str, nn.Conv2d] = {}
    hooks = []

    def watch(name: str, layer: nn.Conv2d) -> None:
        def note(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            if torch.isin(inputs[0], values).all():
                found[name] = layer

        hooks.append(layer.register_forward_pre_hook(note))

    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d) and layer.in_channels == CHANNELS and layer.groups == 1:
            watch(name, layer)
    try:
        if hooks:
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _is_same(found: torch.Tensor, expected: torch.Tensor) -> bool:
    scale = max(float(expected.abs().max()), 1e-6)
    return float((found - expected).abs().max()) <= _ALIKE * scale


@torch.no_grad()
def _flip(layers: Iterable[nn.Conv2d]) -> None:
    for layer in layers:
        layer.weight.copy_(layer.weight.flip(1))
