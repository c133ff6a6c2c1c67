"""Default network of boxes, by device and time budget."""

from collections.abc import Iterator, Mapping
from typing import Any

from limner.core.errors import ConfigError
from limner.core.plan import Decision
from limner.tasks.presets import UNLIMITED, SizePreset, find_size
from limner.tasks.situation import Situation, on_machine, within_budget

BOX_NETWORK = "fcos"

_SMALL = {"head_convs": 2, "extra_levels": 1}
BOX_PRESETS = (
    SizePreset(
        True, 20, {"backbone": "resnet18_width16", "channels": 64} | _SMALL,
        "a narrow encoder gets many passes in that time",
    ),
    SizePreset(
        True, 60, {"backbone": "resnet18_width32", "channels": 96} | _SMALL,
        "a narrow encoder trains within an hour on a CPU",
    ),
    SizePreset(
        True, UNLIMITED, {"backbone": "resnet18", "channels": 128} | _SMALL,
        "ResNet-18 is the largest encoder that is practical on a CPU",
    ),
    SizePreset(
        False, 15, {"backbone": "resnet18", "channels": 128} | _SMALL,
        "a light encoder gets many steps in that time",
    ),
    SizePreset(False, UNLIMITED, {"backbone": "resnet50"}, "the paper's network"),
)  # fmt: skip
"""Sizes of the network; the first row that applies is used."""


def default_box_network(situation: Situation, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Choose a network of boxes at points, and its size.

    Raises:
        ConfigError: The images are volumes.
    """
    if situation.spatial_dims != 2:
        raise ConfigError(
            "Detection is for images in 2 dimensions; these are volumes. Train --task semantic."
        )
    preset = find_size(BOX_PRESETS, situation)
    where = f"{within_budget(situation)} {on_machine(situation)}"
    reason = (
        f"each point predicts the box around it, which is learned from scratch{where}; "
        "--weights takes trained weights, such as those of an RT-DETR, and then their network"
    )
    yield Decision("network.name", BOX_NETWORK, reason)
    if settled.get("network.name", BOX_NETWORK) == BOX_NETWORK:
        yield Decision("network.options", dict(preset.options), preset.why)
