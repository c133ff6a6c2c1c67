"""Fitting a checkpoint's tensors to the network that was inferred, with an account of every tensor."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from limner.core.errors import ModelError, describe
from limner.core.outputs import DenseLogits
from limner.layers.norm import replace_norms
from limner.networks import NETWORKS, build_network
from limner.networks.weightless import weightless
from limner.weights.checkpoint_files import Checkpoint
from limner.weights.checkpoint_source import NetworkShape, ReadNetwork
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


def fit_tensors(reading: ReadNetwork, checkpoint: Checkpoint) -> Fitted:
    """Return the state dict of the network that was inferred.

    Raises:
        ModelError: Tensors are missing, unexpected, or of other shapes; with counts and examples.
    """
    network, renamed = reading.network, reading.tensors
    wanted = shapes_of(network)
    _refuse_differences(wanted, renamed, network, checkpoint)
    state = {name: t.float() if t.is_floating_point() else t for name, t in renamed.tensors.items()}
    counters = {name: "a counter of batches, which starts at 0" for name in wanted.keys() - state.keys()}
    state |= {name: torch.zeros((), dtype=torch.int64) for name in counters}
    fresh = counters | renamed.added
    table = _account(renamed, checkpoint, fresh)
    if network.num_classes == 1 and NETWORKS[network.name].output is DenseLogits:
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
    """Return the network of one class with sigmoid as that of two classes with softmax, which is the same.

    The softmax of (0, z) is (1 - sigmoid(z), sigmoid(z)), so the background's row is zero.
    """
    two = replace(network, num_classes=2)
    wanted, reshaped = shapes_of(two), dict(table.reshaped)
    changed = {name for name, tensor in state.items() if wanted[name] != tuple(tensor.shape)}
    if not all(_CLASSIFIERS.search(name.rpartition(".")[0]) for name in changed):
        raise ModelError(
            describe(
                f"A {network.name} with one class cannot become one with a background",
                where=checkpoint.path,
                found=f"{', '.join(sorted(changed)[:SHOWN])}, which mix classes",
                fix="Train it with two classes, background and foreground.",
            )
        )
    for name in changed:
        row = torch.ones_like if name.endswith(".running_var") else torch.zeros_like
        state[name] = torch.cat((row(state[name]), state[name]))
        reshaped[renamed.theirs[name]] = "a row of zeros added for the background: softmax equals the sigmoid"
    used = tuple(name for name in table.used if name not in reshaped)
    moved = {name: ours for name, ours in table.renamed.items() if name not in reshaped}
    return Fitted(two, state, replace(table, used=used, renamed=moved, reshaped=reshaped))


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
