"""State dicts of unknown origin, for a network of limner's that the user names.

Tensors are matched by their names; those whose names differ by their order, if all their shapes agree.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch

from limner.core.errors import ModelError, UnknownNameError, describe
from limner.core.outputs import TextMaps
from limner.networks import NETWORKS
from limner.weights.checkpoint_files import Checkpoint
from limner.weights.checkpoint_source import (
    SET_BY_USER,
    Asked,
    CheckpointSource,
    NetworkShape,
    ReadNetwork,
)
from limner.weights.fitting import COUNTER, shapes_of
from limner.weights.renaming import Renamed, tensor_sizes
from limner.weights.sources.facts.dense_facts import RECIPE
from limner.weights.sources.facts.output_facts import conclude_by_output, loss_of_output

Shape = tuple[int, ...]


MOST_CLASSES = 1000
"""Numbers of classes that are tried, from the sizes in the checkpoint."""


def source_by_name(network: str) -> CheckpointSource:
    """Return the source of the state dicts of a network that the user names.

    Args:
        network: A row of `NETWORKS`.

    Raises:
        UnknownNameError: There is no such network.
    """
    if network not in NETWORKS:
        raise UnknownNameError("network", network, NETWORKS)
    loss = loss_of_output(NETWORKS[network].output)
    recipe = RECIPE if loss is None else {**RECIPE, "loss": {"terms": [{"name": loss}]}}
    return replace(_BY_NAME, recipe=recipe)


def _read(checkpoint: Checkpoint, asked: Asked) -> ReadNetwork:
    name = asked.network or ""
    dims = 3 if any(tensor.ndim == 5 for tensor in checkpoint.tensors.values()) else 2
    channels = len(asked.settings.get("input", {}).get("mean", ())) or (3 if dims == 2 else 1)
    shape = _fitting_shape(name, asked.options, channels, dims, checkpoint)
    given = checkpoint.tensors
    matched, how = _match(shapes_of(shape), given)
    renamed = Renamed(
        {ours: given[theirs] for ours, theirs in matched.items()},
        dict(matched),
        {theirs: "the network has no such tensor" for theirs in given.keys() - set(matched.values())},
    )
    return ReadNetwork(
        shape, renamed, conclude_by_output(checkpoint, shape, asked, facts={"tensors matched": how})
    )


def _fitting_shape(
    name: str, options: Mapping[str, Any], channels: int, dims: int, checkpoint: Checkpoint
) -> NetworkShape:
    """Return the network with the number of classes at which its tensors agree with the checkpoint's."""
    closest: tuple[int, NetworkShape] | None = None
    usual = NetworkShape(name, dict(options), 1, channels, name, dict.fromkeys(options, SET_BY_USER), dims)
    for classes in dict.fromkeys(_numbers_of_classes(usual, tensor_sizes(checkpoint.tensors))):
        network = replace(usual, num_classes=classes)
        wanted = shapes_of(network)
        matched, _ = _match(wanted, checkpoint.tensors)
        wrong = len(_learned(wanted).keys() - matched.keys())
        if not wrong:
            return network
        if closest is None or wrong < closest[0]:
            closest = (wrong, network)
    raise ModelError(_mismatch(closest, checkpoint))


def _numbers_of_classes(network: NetworkShape, given: Mapping[str, Shape]) -> Iterator[int]:
    """Yield the numbers of classes that are possible: those of heads with our names, then all others.

    Heads have a row for each class, and some have one more for the background or for no object.
    """
    if NETWORKS[network.name].output is TextMaps:
        yield 1
        return
    two, three = (shapes_of(replace(network, num_classes=classes)) for classes in (2, 3))
    for name in [name for name in two if name in given and len(given[name]) == len(two[name])]:
        for size, less, more in zip(given[name], two[name], three[name], strict=True):
            if more == less + 1 and size > less - 2:
                yield size - (less - 2)
    sizes = {size for shape in given.values() for size in shape[:2]}  # of transposed kernels the second
    yield from sorted(n for n in sizes | {size - 1 for size in sizes} if 1 <= n <= MOST_CLASSES)


def _match(wanted: Mapping[str, Shape], given: Mapping[str, torch.Tensor]) -> tuple[dict[str, str], str]:
    """Return our name -> theirs, and how they were matched.

    By name if shapes agree; then the others by order, if there are as many and all their shapes agree.
    """
    shapes = tensor_sizes(given)
    by_name = {name: name for name, shape in wanted.items() if shapes.get(name) == shape}
    if _learned(wanted).keys() <= by_name.keys():
        return by_name, "by name"
    for ours, theirs in ((wanted, shapes), (_learned(wanted), _learned(shapes))):
        if list(ours.values()) == list(theirs.values()):
            return dict(zip(ours, theirs, strict=True)), "by order: the sequence of shapes is the same"
    ours, theirs = (_without(_learned(all_shapes), by_name) for all_shapes in (wanted, shapes))
    if by_name and list(ours.values()) == list(theirs.values()):
        words = ", ".join(f"{theirs_} as {ours_}" for ours_, theirs_ in zip(ours, theirs, strict=True))
        return by_name | dict(zip(ours, theirs, strict=True)), f"by name; by order of their shapes: {words}"
    return by_name, "by name"


def _without(shapes: Mapping[str, Shape], names: Mapping[str, str]) -> dict[str, Shape]:
    return {name: shape for name, shape in shapes.items() if name not in names}


def _learned(shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    return {name: shape for name, shape in shapes.items() if not name.endswith(COUNTER)}


def _mismatch(closest: tuple[int, NetworkShape] | None, checkpoint: Checkpoint) -> str:
    if closest is None:
        return describe("The checkpoint is empty", where=checkpoint.path)
    _, shape = closest
    wanted = _learned(shapes_of(shape))
    matched, _ = _match(wanted, checkpoint.tensors)
    missing = [name for name in wanted if name not in matched]
    left = [name for name in _learned(tensor_sizes(checkpoint.tensors)) if name not in matched.values()]
    return describe(
        f"The checkpoint is not of the network {shape.name} with these options",
        where=checkpoint.path,
        found=f"{len(left)} tensors that fit nowhere: {_listed(left, checkpoint.tensors)}",
        expected=f"{len(missing)} tensors that are missing: "
        + ", ".join(f"{name} {wanted[name]}" for name in missing[:3]),
        fix="Set the network's options as in training: --set network.options.NAME=VALUE.",
    )


def _listed(names: list[str], tensors: Mapping[str, torch.Tensor]) -> str:
    return ", ".join(f"{name} {tuple(tensors[name].shape)}" for name in names[:3])


def _never(_: Checkpoint) -> bool:
    return False


_BY_NAME = CheckpointSource("a state dict", "any network of limner's", "its names", _never, _read, RECIPE)
