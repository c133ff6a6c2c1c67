"""Fitting a checkpoint's tensors to the network that was inferred, with an account of every tensor."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from limner.core.errors import ConfigError, ModelError, describe
from limner.core.outputs import DenseLogits
from limner.layers.norm import replace_norms
from limner.networks import NETWORKS, build_network
from limner.networks.weightless import weightless
from limner.weights.checkpoint_files import Checkpoint
from limner.weights.checkpoint_source import NetworkShape, ReadNetwork
from limner.weights.how_read import SECTION
from limner.weights.renaming import Renamed, tensor_sizes
from limner.weights.tensor_table import TensorTable

SHOWN = 3
"""Number of example names in a message."""

COUNTER = "num_batches_tracked"

_CLASSIFIERS = re.compile(
    r"((head|heads\.\d+|classifier)\.conv|^branches\.\d+\.(last\.(conv|norm)|convs\.2\.\d)"
    r"|^guide_head\.(conv|norm))$"
)
"""Layers whose outputs are scores, one row per class: convolutions, and norms and slopes after them."""


_ADDED = {
    True: "a row of zeros added for the background: softmax equals the sigmoid",
    False: "a row of zeros added for the background, which is where no class has a positive score",
}
"""Whether the network has one class -> what is done to its scores."""


@dataclass(frozen=True)
class Fitted:
    """The network's state dict.

    Attributes:
        network: The network, with at least two classes if its output is dense.
        state: Every tensor of it, floats in float32.
        table: The account.
    """

    network: NetworkShape
    state: dict[str, torch.Tensor]
    table: TensorTable


def fit_tensors(reading: ReadNetwork, checkpoint: Checkpoint, *, background: bool = False) -> Fitted:
    """Return the state dict of the network that was inferred.

    Args:
        reading: The network and its tensors.
        checkpoint: The checkpoint.
        background: Whether each class is scored by a sigmoid, and what has none is background.

    Raises:
        ModelError: Tensors are missing, unexpected, or of other shapes; with counts and examples.
        ConfigError: The network does not score pixels, so there is no background to add.
    """
    network, renamed = reading.network, reading.tensors
    wanted = shapes_of(network)
    _refuse_differences(wanted, renamed, network, checkpoint)
    state = {name: t.float() if t.is_floating_point() else t for name, t in renamed.tensors.items()}
    counters = {name: "a counter of batches, which starts at 0" for name in wanted.keys() - state.keys()}
    state |= {name: torch.zeros((), dtype=torch.int64) for name in counters}
    fresh = counters | renamed.added
    table = _account(renamed, checkpoint, fresh)
    is_dense = NETWORKS[network.name].output is DenseLogits
    if background and not is_dense:
        raise ConfigError(
            f"--set {SECTION}.background=true is for networks that score pixels; {network.name} does not."
        )
    if is_dense and (background or network.num_classes == 1):
        return _with_background(network, state, table, renamed, checkpoint)
    return Fitted(network, state, table)


def shapes_of(network: NetworkShape) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of the network's tensors, without allocating them."""
    with weightless():
        module = build_network(
            network.name,
            num_classes=network.num_classes,
            in_channels=network.in_channels,
            spatial_dims=network.spatial_dims,
            **network.options,
        )
        replace_norms(module, None)
    return tensor_sizes(module.state_dict())


def _with_background(
    network: NetworkShape,
    state: dict[str, torch.Tensor],
    table: TensorTable,
    renamed: Renamed,
    checkpoint: Checkpoint,
) -> Fitted:
    """Return a network that scores classes by sigmoids as one with a background, whose scores are zero.

    Of one class the result is the same: the softmax of (0, z) is (1 - sigmoid(z), sigmoid(z)). Of more, the
    class with the largest score is predicted if that is positive.
    """
    more = replace(network, num_classes=network.num_classes + 1)
    wanted, reshaped = shapes_of(more), dict(table.reshaped)
    changed = {name for name, tensor in state.items() if wanted[name] != tuple(tensor.shape)}
    others = {name for name in changed if not _gains_a_row(name, tuple(state[name].shape), wanted[name])}
    if others:
        raise ModelError(
            describe(
                f"A {network.name} without background cannot become one with a background",
                where=checkpoint.path,
                found=f"{', '.join(sorted(others)[:SHOWN])}, which mix classes",
                fix="Train it with a background as a class of its own.",
            )
        )
    for name in changed:
        row = torch.ones_like if name.endswith(".running_var") else torch.zeros_like
        state[name] = torch.cat((row(state[name][:1]), state[name]))
        reshaped[renamed.theirs[name]] = _ADDED[network.num_classes == 1]
    used = tuple(name for name in table.used if name not in reshaped)
    moved = {name: ours for name, ours in table.renamed.items() if name not in reshaped}
    return Fitted(more, state, replace(table, used=used, renamed=moved, reshaped=reshaped))


def can_gain_background(network: NetworkShape) -> bool:
    """Return whether `fit_tensors` can add a background to a network that scores pixels."""
    shapes, wanted = shapes_of(network), shapes_of(replace(network, num_classes=network.num_classes + 1))
    return all(
        _gains_a_row(name, shape, wanted[name]) for name, shape in shapes.items() if shape != wanted[name]
    )


def _gains_a_row(name: str, shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    is_scores = _CLASSIFIERS.search(name.rpartition(".")[0]) is not None
    return is_scores and wanted == (shape[0] + 1, *shape[1:])


def _account(renamed: Renamed, checkpoint: Checkpoint, fresh: dict[str, str]) -> TensorTable:
    reshaped: dict[str, str] = {}
    moved: dict[str, str] = {}
    used: list[str] = []
    for ours in sorted(renamed.tensors.keys() - renamed.added.keys()):
        theirs = renamed.theirs[ours]
        if ours in renamed.joined:
            reshaped |= {piece: "joined: queries, keys and values in one" for piece in renamed.joined[ours]}
        elif ours in renamed.reshaped:
            reshaped[theirs] = renamed.reshaped[ours]
        elif ours == theirs:
            used.append(ours)
        else:
            moved[theirs] = ours
    return TensorTable(tuple(used), moved, reshaped, {**checkpoint.left_out, **renamed.unused}, fresh)


def _refuse_differences(
    wanted: dict[str, tuple[int, ...]], renamed: Renamed, network: NetworkShape, checkpoint: Checkpoint
) -> None:
    given = renamed.sizes
    missing = sorted(name for name in wanted.keys() - given.keys() if not name.endswith(COUNTER))
    unexpected = sorted(renamed.theirs.get(name, name) for name in given.keys() - wanted.keys())
    misshapen = [
        f"{renamed.theirs.get(name, name)} {given[name]} for {wanted[name]}"
        for name in sorted(wanted.keys() & given.keys())
        if wanted[name] != given[name]
    ]
    counts = (("missing", missing), ("unexpected", unexpected), ("of another shape", misshapen))
    if not any(names for _, names in counts):
        return
    raise ModelError(
        describe(
            "The checkpoint does not match its network",
            where=checkpoint.path,
            found="; ".join(f"{len(names)} {what}: {_examples(names)}" for what, names in counts if names),
            expected=f"the {len(wanted)} tensors of {network.name} with {network.options}",
            fix="Use the complete checkpoint, and set options that tensors do not show with --set "
            "network.options.NAME=VALUE; limner cannot read a checkpoint of a modified network.",
        )
    )


def _examples(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
