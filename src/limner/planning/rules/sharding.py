"""Whether several devices divide the model, or each has a whole one."""

from collections.abc import Iterator, Mapping
from typing import Any

from limner.core.plan import Decision
from limner.core.wording import memory
from limner.networks import NETWORKS
from limner.planning.decisions import Case
from limner.planning.rules.input import memory_budget

REPLICA_PART = 0.5
"""Maximum fraction of a device's memory for what does not depend on the images; a choice, not measured. A
whole model on each device is faster, since only gradients are exchanged."""


def choose_sharding(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Divide a model that would leave too little memory for images."""
    devices, entry = case.machine.num_processes, NETWORKS.get(settled["network.name"])
    is_probe = entry is not None and entry.is_probe
    if devices == 1 or is_probe or settled["train.compile"]:
        return
    cost, budget, optimizer = case.measure(settled), memory_budget(case), settled["optimizer.name"]
    whole = cost.training_bytes(0, optimizer=optimizer)
    reason = f"weights, gradients, optimizer state and average take {memory(whole)} of {memory(budget)}"
    if whole <= REPLICA_PART * budget:
        yield Decision("train.sharding", "none", f"{reason}, so each device has a whole model")
        return
    part = cost.sharded(devices).training_bytes(0, optimizer=optimizer)
    reason += (
        f", which leaves too little for images; divided between {devices} devices, {memory(part)} of each"
    )
    yield Decision("train.sharding", "full", reason)
