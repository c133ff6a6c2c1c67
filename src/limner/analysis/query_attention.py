"""Attention maps: where the queries of a class attend to in query networks such as Mask2Former.

A query's attention shows which pixels it read, within its mask of the previous layer; it is not the predicted
mask.

Shape legend: C channels of the image, Q queries, K classes, M keys, H, W image size, h, w of the keys' map.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F

from limner.analysis.class_activation import NOTHING_PREDICTED, Heat, scaled_heat
from limner.core.errors import ConfigError
from limner.core.outputs import QueryMasks
from limner.layers.attention import MultiheadAttention

ATTENTION = "attention"
"""Name of the map, like those of `METHODS`."""


def attention_layers(network: nn.Module, images: torch.Tensor) -> dict[str, tuple[int, ...]]:
    """Return the layers in which queries attend to the image, with (Q, h, w), in execution order.

    Args:
        network: In evaluation mode.
        images: (1, C, H, W), normalised network input.
    """
    with torch.no_grad(), _recorded_attention(network) as seen:
        network(images)
    size = int(images.shape[2]), int(images.shape[3])
    return {name: (weights.shape[0], *_map_size(weights.shape[1], size)) for name, weights in seen.items()}


def attention_map(
    network: nn.Module,
    images: torch.Tensor,
    *,
    layer: str,
    class_index: int,
    target: npt.NDArray[np.bool_] | None = None,
) -> Heat:
    """Return the mean attention of the queries of a class, weighted by class probability.

    Args:
        network: In evaluation mode; returns `QueryMasks`.
        images: (1, C, H, W), normalised network input.
        layer: A name of `attention_layers`.
        class_index: The class, 0..K-1.
        target: (H, W) pixels; queries are weighted by their masks' mean probability there. Defaults to the
            queries whose most probable class it is.

    Raises:
        ConfigError: No query predicts the class, and no target is given.
    """
    with torch.no_grad(), _recorded_attention(network) as seen:
        outputs: QueryMasks = network(images)
    chances = outputs.class_logits[0].float().softmax(-1)
    weights = chances[:, class_index]
    if target is None:
        weights = weights * (chances.argmax(-1) == class_index)
        if not bool(weights.any()):
            raise ConfigError(NOTHING_PREDICTED)
    else:
        weights = weights * _mask_probability_at(outputs, target)
    looked = (weights[:, None] * seen[layer]).sum(0) / weights.sum().clamp(min=1e-12)
    size = int(images.shape[2]), int(images.shape[3])
    return scaled_heat(looked.view(_map_size(len(looked), size)), size)


def _mask_probability_at(outputs: QueryMasks, target: npt.NDArray[np.bool_]) -> torch.Tensor:
    """Return (Q) the mean probability of each query's mask over the target."""
    there = torch.from_numpy(target.astype(np.float32)).to(outputs.features.device)[None, None]
    small = F.interpolate(there, outputs.features.shape[2:], mode="area")[0, 0]
    masks = outputs.mask_logits[0].float().sigmoid()
    return (masks * small).sum((1, 2)) / small.sum().clamp(min=1e-12)


@contextmanager
def _recorded_attention(network: nn.Module) -> Iterator[Mapping[str, torch.Tensor]]:
    """Record the (Q, M) attention weights of each cross-attention layer."""
    found: dict[str, torch.Tensor] = {}

    def note(name: str) -> Callable[..., None]:
        def hook(
            module: MultiheadAttention, inputs: tuple[Any, ...], named: dict[str, Any], _: object
        ) -> None:
            queries, keys = inputs[:2]
            if queries.shape[1] != keys.shape[1]:
                found[name] = module.weights(queries, keys, mask=named.get("mask"))[0].float()

        return hook

    hooks = [
        module.register_forward_hook(note(name), with_kwargs=True)
        for name, module in network.named_modules()
        if isinstance(module, MultiheadAttention)
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _map_size(number: int, size: tuple[int, int]) -> tuple[int, int]:
    """Return the factorisation (height, width) of `number` that is closest to the image's aspect ratio."""
    heights = [h for h in range(1, number + 1) if number % h == 0]
    height = min(heights, key=lambda h: abs(np.log(h * h / number) - np.log(size[0] / size[1])))
    return height, number // height
