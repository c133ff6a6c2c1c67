"""What a checkpoint and its project leave open: how an import read it, and how else it can be read.

The tensors fit every reading, so only someone who knows the training, or sees predictions, can tell which is
right.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args, get_origin

import torch
from torch import nn

from limner.core.config import merge
from limner.core.errors import LimnerError
from limner.core.outputs import DenseLogits
from limner.networks import NETWORKS, build_network
from limner.networks.weightless import uninitialized
from limner.weights.channel_order import CHANNELS, FACT, inferred_order, is_reversible
from limner.weights.checkpoint_source import Asked, Conclusions, NetworkShape, Normalization
from limner.weights.fitting import can_gain_background, shapes_of
from limner.weights.how_read import SECTION
from limner.weights.model import Model
from limner.weights.sources.facts.dense_facts import imagenet

NORMALIZATIONS: Mapping[str, Normalization] = {
    "ImageNet's mean and standard deviation": imagenet("").value,
    "values from 0 to 1": Normalization((0.0,) * CHANNELS, (255.0,) * CHANNELS),
    "values from -1 to 1": Normalization((127.5,) * CHANNELS, (127.5,) * CHANNELS),
    "values of the file, 0 to 255": Normalization((0.0,) * CHANNELS, (1.0,) * CHANNELS),
}
"""Usual normalisations of images of 8 bits."""

ASSUMED = "assumed"
"""Beginning of the source of an option that neither the checkpoint nor its project shows."""

Scores = dict[str, torch.Tensor]

_SIDE = 64


@dataclass(frozen=True)
class OtherReading:
    """Another way to read a checkpoint.

    Attributes:
        words: What it is.
        settings: What `--set` has to be given for it, nested.
    """

    words: str
    settings: Mapping[str, Any]

    @property
    def command(self) -> str:
        """The options of the command line, such as ``--set checkpoint.channel_order=bgr``."""
        return " ".join(f"--set {key}={_as_text(value)}" for key, value in _flat(self.settings))


@dataclass(frozen=True)
class OpenChoice:
    """One thing that was assumed.

    Attributes:
        topic: What it is about.
        taken: The reading that the import has taken, in words.
        others: The other ones.
    """

    topic: str
    taken: str
    others: tuple[OtherReading, ...]


def open_choices(
    model: Model, conclusions: Conclusions, shape: NetworkShape, asked: Asked, *, is_named: bool
) -> tuple[OpenChoice, ...]:
    """Return what an import has assumed, and what the caller has not set.

    Args:
        model: The imported model.
        conclusions: What was inferred.
        shape: The network.
        asked: What the caller has set.
        is_named: Whether the caller has named the network, so that no project's options are known.
    """
    found = []
    is_image = shape.spatial_dims == 2 and shape.in_channels == CHANNELS
    if "normalisation" in conclusions.unknown and is_image and not {"mean", "std"} & _given("input", asked):
        found.append(_normalization(conclusions.normalization.value))
    if "channel order" in conclusions.unknown and is_image and asked.how_read.channel_order is None:
        found += _channel_order(model, conclusions)
    if "background" in conclusions.unknown and "background" not in _given(SECTION, asked):
        found += _background(model, shape)
    if shape.spatial_dims == 2:
        found += _options(model, shape, asked, is_named=is_named)
    return tuple(found)


def _given(section: str, asked: Asked) -> set[str]:
    return set(asked.settings.get(section, {}))


def _normalization(taken: Normalization) -> OpenChoice:
    words = next((name for name, known in NORMALIZATIONS.items() if known == taken), "")
    others = tuple(
        OtherReading(name, {"input": {"mean": list(known.mean), "std": list(known.std)}})
        for name, known in NORMALIZATIONS.items()
        if known != taken
    )
    return OpenChoice("normalisation", words or f"mean {taken.mean}, std {taken.std}", others)


def _channel_order(model: Model, conclusions: Conclusions) -> Iterator[OpenChoice]:
    taken = inferred_order(conclusions.facts)
    if is_reversible(model.network):
        other = "rgb" if taken == "bgr" else "bgr"
        reading = OtherReading(other.upper(), {SECTION: {"channel_order": other}})
        yield OpenChoice(FACT, taken.upper(), (reading,))


def _background(model: Model, shape: NetworkShape) -> Iterator[OpenChoice]:
    """Yield the choice between a softmax and a sigmoid of each class, if no class is the background."""
    is_dense = NETWORKS[shape.name].output is DenseLogits
    if is_dense and model.labels.background_index is None and can_gain_background(shape):
        other = OtherReading("a sigmoid for each class, and background else", {SECTION: {"background": True}})
        yield OpenChoice("background", f"none among the {shape.num_classes} classes", (other,))


def _options(model: Model, shape: NetworkShape, asked: Asked, *, is_named: bool) -> Iterator[OpenChoice]:
    """Yield the options of the network of which other values fit the tensors, and give other scores."""
    fields = NETWORKS[shape.name].options.model_fields
    assumed = {name for name, why in shape.sources.items() if why.startswith(ASSUMED)}
    images = torch.randn(1, shape.in_channels, _SIDE, _SIDE, generator=torch.Generator().manual_seed(0))
    scores: Scores = {}
    for name, field in fields.items():
        if name in asked.options or not (is_named or name in assumed):
            continue
        scores = scores or _scores(model.network, images)
        taken = shape.options.get(name, field.default)
        others = tuple(
            OtherReading(str(value), {"network": {"options": {name: value}}})
            for value in _values(field.annotation)
            if value != taken and _differs(scores, _scores_with({name: value}, model, shape, images))
        )
        if others:
            yield OpenChoice(name.replace("_", " "), str(taken), others)


def _values(annotation: Any) -> tuple[Any, ...]:  # noqa: ANN401 - a type
    """Return the values of an option with few of them."""
    if annotation is bool:
        return False, True
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _scores(network: nn.Module, images: torch.Tensor) -> Scores:
    with torch.no_grad():
        tensors: Scores = network.eval()(images).tensors()
    return tensors


def _scores_with(
    option: Mapping[str, Any], model: Model, shape: NetworkShape, images: torch.Tensor
) -> Scores | None:
    """Return the scores with another option, or None if the tensors do not fit it."""
    other = replace(shape, options=merge(shape.options, dict(option)))
    state = model.network.state_dict()
    try:
        if shapes_of(other) != {name: tuple(tensor.shape) for name, tensor in state.items()}:
            return None
        with uninitialized():
            network = build_network(
                other.name, num_classes=other.num_classes, in_channels=other.in_channels, **other.options
            )
        network.load_state_dict(state)
        return _scores(network, images)
    except (LimnerError, RuntimeError, ValueError):  # such options, or such a size, are refused
        return None


def _differs(scores: Scores, others: Scores | None) -> bool:
    return others is not None and any(
        others[name].shape != tensor.shape or not torch.allclose(others[name], tensor, rtol=1e-3, atol=1e-5)
        for name, tensor in scores.items()
    )


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted key and value of nested settings."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _as_text(value: Any) -> str:  # noqa: ANN401 - a value of a setting
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return f"[{','.join(map(_as_text, value))}]"
    return f"{value:g}" if isinstance(value, float) else json.dumps(value)
