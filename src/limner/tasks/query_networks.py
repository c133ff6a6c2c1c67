"""Default network for objects and panoptic segments: Mask2Former."""

from collections.abc import Iterator, Mapping
from typing import Any

from limner.core.plan import Decision
from limner.tasks.situation import Situation

QUERY_NETWORK = "mask2former"
SMALL_QUERY_NETWORK = {"backbone": "resnet18", "channels": 128, "pixel_layers": 2, "decoder_layers": 3}


def default_query_network(situation: Situation, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Choose Mask2Former, a small variant on a CPU."""
    reason = f"the network for {settled['task']} segmentation; the others predict one class per pixel"
    yield Decision("network.name", QUERY_NETWORK, reason)
    yield from default_query_options(situation, settled.get("network.name", QUERY_NETWORK))


def default_query_options(situation: Situation, network: str) -> Iterator[Decision]:
    """Choose the size of Mask2Former; other networks keep their defaults."""
    if network != QUERY_NETWORK:
        return
    if situation.machine.is_cpu:
        yield Decision("network.options", dict(SMALL_QUERY_NETWORK), "a small variant, feasible on a CPU")
    else:
        yield Decision("network.options", {}, "the paper's ResNet-50 variant")
