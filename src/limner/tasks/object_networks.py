"""Default networks of tasks that find objects, and the usual size of Mask2Former."""

from collections.abc import Iterator, Mapping
from typing import Any

from limner.core.plan import Decision
from limner.tasks.presets import find_preset
from limner.tasks.situation import Situation, on_machine, within_budget

QUERY_NETWORK = "mask2former"
SMALL_QUERY_NETWORK = {"backbone": "resnet18", "channels": 128, "pixel_layers": 2, "decoder_layers": 3}

WITH_CENTRES = {"unet": "unet-centres", "encoder-unet": "panoptic-deeplab"}
"""Network of a preset, which predicts one class per pixel -> the one with the same options that also predicts
centres and offsets."""


STEPS_FOR_CENTRES = 3
"""Factor by which centres and offsets need more steps than classes: the network is that of a shorter budget.

Nuclei, 8 minutes on 2 slow cores: 131 steps with the network of 8 minutes gave an AP50 of 0.19.
"""


def default_object_network(situation: Situation, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Choose a network of centres and offsets, of the size that the semantic task has in a shorter budget."""
    machine, minutes = situation.machine, situation.minutes
    shorter = None if minutes is None else minutes / STEPS_FOR_CENTRES
    preset = find_preset(on_cpu=machine.is_cpu, spatial_dims=situation.spatial_dims, minutes=shorter)
    name = WITH_CENTRES[preset.network]
    where = f"{within_budget(situation)} {on_machine(situation)}"
    reason = f"each pixel predicts the centre of its object, which is learned from scratch{where}"
    yield Decision("network.name", name, f"{reason}; queries need pretrained weights or days")
    chosen = settled.get("network.name", name)
    if chosen == name:
        yield Decision("network.options", dict(preset.options), f"the size of the preset: {preset.why}")
    else:
        yield from default_query_options(situation, chosen)


def default_query_options(situation: Situation, network: str) -> Iterator[Decision]:
    """Choose the size of Mask2Former; other networks keep their defaults."""
    if network != QUERY_NETWORK:
        return
    if situation.machine.is_cpu:
        yield Decision("network.options", dict(SMALL_QUERY_NETWORK), "a small variant, feasible on a CPU")
    else:
        yield Decision("network.options", {}, "the paper's ResNet-50 variant")
