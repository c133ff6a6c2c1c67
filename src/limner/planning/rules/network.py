"""Which network, how big, and from which weights."""

from collections.abc import Iterator, Mapping
from typing import Any

from limner.core.plan import Decision
from limner.networks import NETWORKS
from limner.planning.decisions import Case
from limner.tasks import find_task
from limner.tasks.objective import Objective
from limner.tasks.presets import Preset, find_preset


def preset_of(case: Case) -> Preset:
    """Return the row of the size table that applies to a case."""
    return find_preset(
        on_cpu=case.machine.is_cpu, spatial_dims=case.fingerprint.spatial_dims, minutes=case.minutes
    )


def choose_network(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Take the task's own network for this machine and time; weights to start from settle it."""
    if case.start is not None:
        network = case.start.network
        yield Decision("network.name", network.name, "the network of the weights it starts from")
        yield Decision("network.options", dict(network.options), "as in the weights it starts from")
        return
    yield from find_task(settled["task"]).default_network(case, settled)


def objective_of(settled: Mapping[str, Any]) -> Objective:
    """Return how the settled network is trained for the settled task.

    A module of the user's own is taken for one with the kind of output that the task prefers.
    """
    objectives = find_task(settled["task"]).objectives
    entry = NETWORKS.get(settled.get("network.name", ""))
    first = next(iter(objectives.values()))
    return first if entry is None else objectives.get(entry.output, first)


def choose_pretraining(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Ask for pretrained encoder weights where the network has an encoder."""
    name = settled["network.name"]
    if case.start is not None:
        yield Decision("network.pretrained", "no", "the weights it starts from hold the encoder's too")
    elif name in NETWORKS and NETWORKS[name].pretrained:
        reason = "pretrained encoder weights help most with few images; from scratch if they cannot be had"
        yield Decision("network.pretrained", "auto", reason)
    else:
        yield Decision("network.pretrained", "no", f"{name} has no encoder with published weights")
