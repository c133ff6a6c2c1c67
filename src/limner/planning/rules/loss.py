"""The loss."""

from collections.abc import Iterator, Mapping
from typing import Any

from limner.core.plan import Decision
from limner.networks import NETWORKS
from limner.planning.decisions import Case
from limner.planning.rules.network import objective_of


def choose_loss(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Choose the task's default losses for the network's output."""
    entry = NETWORKS.get(settled["network.name"])
    network_loss = {} if entry is None else entry.loss
    yield from objective_of(settled).default_loss(case, settled, network_loss)
