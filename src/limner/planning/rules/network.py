"""Network, its size, and its initial weights."""

from collections.abc import Iterator, Mapping
from typing import Any

from limner.core.outputs import OutputKind
from limner.core.plan import Decision
from limner.core.wording import number
from limner.networks import NETWORKS
from limner.networks.backbones.resnet import UNPUBLISHED_RESNETS
from limner.planning.decisions import Case
from limner.tasks import find_task
from limner.tasks.objective import Objective
from limner.tasks.presets import Preset


def choose_task(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Say why the task is this one."""
    yield Decision("task", case.task, case.task_reason)


def preset_of(case: Case, settled: Mapping[str, Any]) -> Preset:
    """Return the preset of the task for a case."""
    return find_task(settled["task"]).preset(case)


def encoder_of(settled: Mapping[str, Any]) -> str:
    """Return the name of the chosen network's encoder; empty if it has no choice of encoders."""
    entry = NETWORKS.get(settled["network.name"])
    field = None if entry is None else entry.options.model_fields.get("backbone")
    default = "" if field is None else field.default
    return str(settled["network.options"].get("backbone", default))


def choose_network(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Choose the network of the initial weights, else the task's default for this machine and time."""
    if case.start is not None:
        network = case.start.network
        yield Decision("network.name", network.name, "the network of the initial weights")
        yield Decision("network.options", dict(network.options), "as in the initial weights")
        return
    yield from find_task(settled["task"]).default_network(case, settled)


def objective_of(settled: Mapping[str, Any]) -> Objective:
    """Return the objective of the chosen network and task."""
    return find_task(settled["task"]).objectives[output_of(settled)]


def output_of(settled: Mapping[str, Any]) -> OutputKind:
    """Return the kind of output of the chosen network, of those that the task accepts.

    A module of the user's own is taken for one with the kind of output that the task prefers.
    """
    objectives = find_task(settled["task"]).objectives
    entry = NETWORKS.get(settled.get("network.name", ""))
    return entry.output if entry is not None and entry.output in objectives else next(iter(objectives))


def choose_pretraining(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Use pretrained encoder weights if the network has an encoder."""
    name, backbone = settled["network.name"], settled["network.options"].get("backbone")
    if case.start is not None:
        yield Decision("network.pretrained", "no", "the initial weights include the encoder")
    elif name in NETWORKS and NETWORKS[name].is_probe:
        reason = "the features of an encoder with random weights say little about an image"
        yield Decision("network.pretrained", "yes", reason)
    elif backbone in UNPUBLISHED_RESNETS:
        yield Decision("network.pretrained", "no", f"there are no published weights of {backbone}")
    elif name in NETWORKS and NETWORKS[name].pretrained:
        reason = "pretrained encoder weights help most with few images; from scratch if unavailable"
        yield Decision("network.pretrained", "auto", reason)
    else:
        yield Decision("network.pretrained", "no", f"{name} has no encoder with published weights")


def warn_of_few_queries(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Say so if an image has more objects than the network has queries."""
    entry = NETWORKS.get(settled["network.name"])
    field = None if entry is None else entry.options.model_fields.get("num_queries")
    if field is None or find_task(settled["task"]).has_label_maps:
        return
    options, most = settled["network.options"], case.fingerprint.most_objects
    queries = options.get("num_queries", field.default)
    if most > queries:
        remark = (
            f"a training image has {number(most)} objects, and the network {queries} queries, each of which "
            "finds one at most: set network.options.num_queries, or predict in windows (--window)"
        )
        yield Decision("network.options", options, "the defaults of the network", remark)
