"""Which network, how big, and from which weights."""

from collections.abc import Iterator, Mapping
from typing import Any

from limner.core.outputs import QueryMasks
from limner.networks import NETWORKS
from limner.planning.decisions import Case, Decision
from limner.planning.presets import Preset, find_preset

SEGMENT_NETWORK = "mask2former"
SMALL_MASK2FORMER = {"backbone": "resnet18", "channels": 128, "pixel_layers": 2, "decoder_layers": 3}


def preset_of(case: Case) -> Preset:
    """Return the row of the size table that applies to a case."""
    return find_preset(
        on_cpu=case.machine.is_cpu, spatial_dims=case.fingerprint.spatial_dims, minutes=case.minutes
    )


def choose_network(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Take the network of the size table; its options only where the network is the table's own.

    Weights to start from settle both.
    """
    if case.start is not None:
        network = case.start.network
        yield Decision("network.name", network.name, "the network of the weights it starts from")
        yield Decision("network.options", dict(network.options), "as in the weights it starts from")
        return
    if settled["task"] != "semantic" or gives_queries(settled):
        yield from _segment_network(case, settled)
        return
    preset = preset_of(case)
    budget = f" in {case.minutes:g} min" if case.minutes else ""
    place = "the CPU" if case.machine.is_cpu else case.machine.name
    yield Decision("network.name", preset.network, f"on {place}{budget}: {preset.why}")
    if settled.get("network.name", preset.network) == preset.network:
        yield Decision("network.options", dict(preset.options), "the size that goes with this choice")


def gives_queries(settled: Mapping[str, Any]) -> bool:
    """Whether the settled network predicts a set of segments."""
    name = settled.get("network.name")
    return name in NETWORKS and NETWORKS[name].output is QueryMasks


def _segment_network(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Take Mask2Former; a small one on the CPU."""
    reason = f"the network for {settled['task']} segmentation; the others give one class for each pixel"
    yield Decision("network.name", SEGMENT_NETWORK, reason)
    if settled.get("network.name", SEGMENT_NETWORK) != SEGMENT_NETWORK:
        return
    if case.machine.is_cpu:
        yield Decision("network.options", dict(SMALL_MASK2FORMER), "a small variant, bearable on a CPU")
    else:
        yield Decision("network.options", {}, "the paper's ResNet-50 variant")


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
