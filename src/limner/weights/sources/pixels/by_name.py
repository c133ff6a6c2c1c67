"""State dicts of unknown origin, for a network of limner's that the user names.

Tensors are matched by their names; else in their order, if all shapes agree.
"""

from collections.abc import Mapping
from typing import Any

import torch

from limner.core.errors import ConfigError, ModelError, UnknownNameError, describe
from limner.core.outputs import DenseLogits
from limner.core.plan import ResizePlan
from limner.networks import NETWORKS
from limner.weights.checkpoint_files import Checkpoint
from limner.weights.checkpoint_source import (
    SET_BY_USER,
    Asked,
    CheckpointSource,
    Inferred,
    NetworkShape,
    ReadNetwork,
)
from limner.weights.fitting import COUNTER, shapes_of
from limner.weights.how_read import IMAGES_AND_CLASSES
from limner.weights.renaming import Renamed, tensor_sizes
from limner.weights.sources.facts.dense_facts import RECIPE, conclude, imagenet
from limner.weights.sources.facts.volume_conclusions import conclude_volumes

Shape = tuple[int, ...]


MOST_CLASSES = 1000
"""Numbers of classes that are tried, from the sizes in the checkpoint."""


def _read(checkpoint: Checkpoint, asked: Asked) -> ReadNetwork:
    name = asked.network or ""
    if name not in NETWORKS:
        raise UnknownNameError("network", name, NETWORKS)
    if NETWORKS[name].output is not DenseLogits:
        raise ConfigError(
            f"--network {name}: only networks that score pixels can be imported by their name. "
            "Others are imported from their projects' checkpoints."
        )
    dims = 3 if any(tensor.ndim == 5 for tensor in checkpoint.tensors.values()) else 2
    channels = len(asked.settings.get("input", {}).get("mean", ())) or (3 if dims == 2 else 1)
    shape, given = _fitting_shape(name, asked.options, channels, dims, checkpoint)
    matched, how = _match(shapes_of(shape), given)
    renamed = Renamed(
        {ours: given[theirs] for ours, theirs in matched.items()},
        dict(matched),
        {theirs: "the network has no such tensor" for theirs in given.keys() - set(matched.values())},
    )
    facts = {"tensors matched": how}
    if dims == 3:
        return ReadNetwork(shape, renamed, conclude_volumes(checkpoint, shape, asked, facts=facts))
    why = "assumed: ImageNet's; set them with --set input.mean=[...] --set input.std=[...]"
    resize = Inferred(ResizePlan(), "unknown, so images are not resized; --set inference.resize.shortest=N")
    conclusions = conclude(
        checkpoint,
        shape,
        asked,
        normalization=imagenet(why),
        resize=resize,
        facts=facts,
        unknown=IMAGES_AND_CLASSES,
    )
    return ReadNetwork(shape, renamed, conclusions)


def _fitting_shape(
    name: str, options: Mapping[str, Any], channels: int, dims: int, checkpoint: Checkpoint
) -> tuple[NetworkShape, dict[str, torch.Tensor]]:
    """Return the network with the number of classes at which its tensors agree with the checkpoint's."""
    given = checkpoint.tensors
    sizes = {size for tensor in given.values() for size in tensor.shape[:2]}  # transposed kernels: the second
    tried = sorted(size for size in sizes if size <= MOST_CLASSES)
    closest: tuple[int, NetworkShape] | None = None
    for classes in tried:
        network = NetworkShape(
            name, dict(options), classes, channels, name, dict.fromkeys(options, SET_BY_USER), dims
        )
        wanted = shapes_of(network)
        matched, _ = _match(wanted, given)
        wrong = len(_learned(wanted).keys() - matched.keys())
        if not wrong:
            return network, given
        if closest is None or wrong < closest[0]:
            closest = (wrong, network)
    raise ModelError(_mismatch(closest, checkpoint))


def _match(wanted: Mapping[str, Shape], given: Mapping[str, torch.Tensor]) -> tuple[dict[str, str], str]:
    """Return our name -> theirs, by name or, if all shapes agree in their order, by order."""
    shapes = tensor_sizes(given)
    by_name = {name: name for name, shape in wanted.items() if shapes.get(name) == shape}
    if _learned(wanted).keys() <= by_name.keys():
        return by_name, "by name"
    for ours, theirs in ((wanted, shapes), (_learned(wanted), _learned(shapes))):
        if list(ours.values()) == list(theirs.values()):
            return dict(zip(ours, theirs, strict=True)), "by order: the sequence of shapes is the same"
    return by_name, "by name"


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


BY_NAME = CheckpointSource("a state dict", "any network of limner's", "its names", _never, _read, RECIPE)
"""Used where the user names the network."""
