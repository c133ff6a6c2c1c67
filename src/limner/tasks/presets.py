"""The table of how big to go: network, crop and batch by device, dimensions and time budget.

One place to look at and to tune. The first row that applies is taken; the rules then cut crop and batch
to what the data and the memory allow.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

UNLIMITED = float("inf")


@dataclass(frozen=True)
class Preset:
    """How big to go under some conditions.

    Attributes:
        on_cpu: Whether the row is for the CPU or for accelerators.
        spatial_dims: 2 or 3.
        minutes: The largest time budget it is for; a run without one counts as unlimited.
        network: A row of `NETWORKS`.
        options: Its options.
        crop_pixels: Pixels of a crop, at most.
        batch_size: Samples of a step, at most.
        why: What speaks for the network, after "because".
    """

    on_cpu: bool
    spatial_dims: int
    minutes: float
    network: str
    options: Mapping[str, Any]
    crop_pixels: int
    batch_size: int
    why: str


# Instance normalisation: runs this short have too few and too small batches for statistics over them.
TINY_UNET = {"widths": (8, 16, 32, 64, 128), "norm": "instance"}
SMALL_UNET = {"widths": (16, 32, 64, 128, 256), "norm": "instance"}
MEDIUM_UNET = {"widths": (24, 48, 96, 192, 384), "norm": "instance"}
VOLUME_UNET = {"widths": (16, 32, 64, 128)}

PRESETS = (
    Preset(True, 2, 5, "unet", TINY_UNET, 256 * 256, 8, "a slim U-Net makes the most steps in that time"),
    Preset(True, 2, 15, "unet", SMALL_UNET, 256 * 256, 8, "a small U-Net sees the images often in that time"),
    Preset(True, 2, 60, "unet", MEDIUM_UNET, 320 * 320, 8, "a middling U-Net learns within an hour on a CPU"),
    Preset(
        True,
        2,
        UNLIMITED,
        "encoder-unet",
        {"backbone": "resnet18"},
        384 * 384,
        8,
        "ResNet-18 is the strongest encoder that is bearable on a CPU",
    ),
    Preset(True, 3, UNLIMITED, "unet", VOLUME_UNET, 32**3, 2, "volumes are costly on a CPU"),
    Preset(
        False,
        2,
        15,
        "encoder-unet",
        {"backbone": "resnet18"},
        384 * 384,
        16,
        "a light encoder makes many steps in that time",
    ),
    Preset(
        False,
        2,
        UNLIMITED,
        "encoder-unet",
        {"backbone": "resnet50"},
        512 * 1024,
        16,
        "a U-Net on ResNet-50 keeps fine detail and suits most data",
    ),
    Preset(
        False,
        3,
        UNLIMITED,
        "unet",
        {"widths": (32, 64, 128, 256, 320), "norm": "instance"},
        96**3,
        2,
        "volumes need a U-Net in three dimensions",
    ),
)


def find_preset(*, on_cpu: bool, spatial_dims: int, minutes: float | None) -> Preset:
    """Return the first row that applies."""
    for row in PRESETS:
        if (row.on_cpu, row.spatial_dims) == (on_cpu, spatial_dims) and (minutes or UNLIMITED) <= row.minutes:
            return row
    raise AssertionError(f"PRESETS has no row for on_cpu={on_cpu}, {spatial_dims} dimensions")
