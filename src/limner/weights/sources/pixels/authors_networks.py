"""Networks that score pixels, as their authors' own codes save them; `authors_codes` lists them."""

import re
from collections.abc import Mapping
from functools import partial

import torch

from limner.core.errors import ModelError, describe
from limner.weights.checkpoint_files import Checkpoint
from limner.weights.checkpoint_source import Asked, CheckpointSource, Inferred, NetworkShape, ReadNetwork
from limner.weights.fitting import COUNTER, shapes_of
from limner.weights.renaming import Naming, Renamed, rename, tensor_sizes
from limner.weights.sources.facts.dense_facts import RECIPE, conclude
from limner.weights.sources.pixels.authors_codes import CODES, AuthorsCode

EPSILON = 1e-5
"""Eps of InPlaceABN."""


def _source(code: AuthorsCode) -> CheckpointSource:
    def recognises(checkpoint: Checkpoint) -> bool:
        return all(name in checkpoint.tensors for name in code.signs)

    def read(checkpoint: Checkpoint, asked: Asked) -> ReadNetwork:
        return _read(code, checkpoint, asked)

    return CheckpointSource(code.title, code.architecture, " and ".join(code.signs), recognises, read, RECIPE)


def _read(code: AuthorsCode, checkpoint: Checkpoint, asked: Asked) -> ReadNetwork:
    theirs = tensor_sizes(checkpoint.tensors)
    classes = theirs[code.head][code.classes_axis]
    options = code.options(theirs) | asked.options
    channels = next(shape[1] for shape in theirs.values() if len(shape) == 4)
    shape = NetworkShape(
        code.network,
        options,
        classes,
        channels,
        code.architecture,
        asked.sources,
    )
    facts = dict(code.constants)
    if code.rules is None:
        renamed = _by_order(code, shape, checkpoint)
        facts["tensors matched"] = "by order: the sequence of shapes is the same"
    else:
        why = "their code does not use it either, or limner computes it"
        renamed = rename(
            checkpoint.tensors, Naming(code.title, "", code.rules, unused=code.unused, why_unused=why)
        )
        for name in [
            name for name, size in shapes_of(shape).items() if size == () and name.endswith("gamma")
        ]:
            renamed.change(name, lambda t: t.reshape(()), "a number instead of a list of one")
    for name, (axis, first) in code.image_channels.items():
        renamed.change(name, partial(_reversed, axis=axis, first=first), "BGR to RGB")
    if code.absolute_norms:
        _take_absolute(renamed)
    normalization, resize = code.facts(classes)
    names = code.class_names.get(classes)
    conclusions = conclude(
        checkpoint,
        shape,
        asked,
        normalization=normalization,
        resize=resize,
        facts=facts,
        window=None if code.window is None else Inferred(code.window, "that code's evaluation"),
        names=None if names is None else Inferred(names, f"assumed: {classes} classes of that code"),
    )
    return ReadNetwork(shape, renamed, conclusions)


def _by_order(code: AuthorsCode, shape: NetworkShape, checkpoint: Checkpoint) -> Renamed:
    """Return the tensors by limner's names, which are registered in the order of that code."""
    used = {n: t for n, t in checkpoint.tensors.items() if not re.search(code.unused, n)}
    given = {name: tensor for name, tensor in used.items() if not name.endswith(COUNTER)}
    wanted = {name: size for name, size in shapes_of(shape).items() if not name.endswith(COUNTER)}
    ours, theirs = list(wanted.values()), list(tensor_sizes(given).values())
    if ours != theirs:
        first = next(
            (i for i, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]), None
        )
        found = f"{len(theirs)} tensors"
        expected = f"the {len(ours)} of {shape.name} with {shape.options}"
        if first is not None:
            found += f", of which {list(given)[first]} has the shape {theirs[first]}"
            expected += f", of which {list(wanted)[first]} has {ours[first]}"
        raise ModelError(
            describe(
                f"The checkpoint is not of {code.architecture} with these options",
                where=checkpoint.path,
                found=found,
                expected=expected,
                fix="Set the network's options as in training: --set network.options.NAME=VALUE.",
            )
        )
    pairs = list(zip(wanted, given, strict=True))
    unused = dict.fromkeys(checkpoint.tensors.keys() - given.keys(), "prediction does not need it")
    return Renamed({o: given[t] for o, t in pairs}, dict(pairs), unused)


def _reversed(tensor: torch.Tensor, axis: int, first: int) -> torch.Tensor:
    """Reverse the three channels of the image, which begin at `first`, negative from the end."""
    order = torch.arange(tensor.shape[axis])
    start = first % len(order)
    order[start : start + 3] = order[start : start + 3].flip(0)
    return tensor.index_select(axis, order)


def _take_absolute(renamed: Renamed) -> None:
    """Give norms the scales that InPlaceABN computes from its weights."""
    for name in [name for name in renamed.tensors if name.endswith(".running_var")]:
        weight = name.removesuffix("running_var") + "weight"
        renamed.change(weight, lambda t: t.abs() + EPSILON, "absolute value plus eps, as InPlaceABN scales")


AUTHORS_NETWORKS: Mapping[str, CheckpointSource] = {
    f"{code.architecture.casefold()}-authors": _source(code) for code in CODES
}
"""Sources, one for each code."""
