"""Presets: network, crop and batch size by device, dimensions and time budget.

The first row that applies is used; the rules then reduce crop and batch size to what data and memory allow.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from limner.tasks.situation import Situation

UNLIMITED = float("inf")


@dataclass(frozen=True)
class Preset:
    """Network, crop and batch size under some conditions.

    Attributes:
        on_cpu: Whether the row is for the CPU or for accelerators.
        spatial_dims: 2 or 3.
        minutes: Maximum time budget; a run without one counts as unlimited.
        network: A row of `NETWORKS`.
        options: Options of the network.
        crop_pixels: Maximum number of pixels per crop.
        batch_size: Maximum batch size.
        why: Reason for the network, to follow "because".
    """

    on_cpu: bool
    spatial_dims: int
    minutes: float
    network: str
    options: Mapping[str, Any]
    crop_pixels: int
    batch_size: int
    why: str


# Instance normalisation: in such short runs, batches are too few and too small for batch statistics.
TINY_UNET = {"widths": (8, 16, 32, 64, 128), "norm": "instance"}
SMALL_UNET = {"widths": (16, 32, 64, 128, 256), "norm": "instance"}
MEDIUM_UNET = {"widths": (24, 48, 96, 192, 384), "norm": "instance"}
VOLUME_UNET = {"widths": (16, 32, 64, 128), "norm": "instance"}

PRESETS = (
    Preset(True, 2, 5, "unet", TINY_UNET, 256 * 256, 8, "a narrow U-Net gets the most steps in that time"),
    Preset(True, 2, 15, "unet", SMALL_UNET, 256 * 256, 8, "a small U-Net gets many passes in that time"),
    Preset(True, 2, 60, "unet", MEDIUM_UNET, 320 * 320, 8, "a medium U-Net trains within an hour on a CPU"),
    Preset(
        True,
        2,
        UNLIMITED,
        "encoder-unet",
        {"backbone": "resnet18"},
        384 * 384,
        8,
        "ResNet-18 is the largest encoder that is practical on a CPU",
    ),
    Preset(True, 3, UNLIMITED, "unet", VOLUME_UNET, 64**3, 2, "a narrow 3D U-Net gets hundreds of steps"),
    Preset(
        False,
        2,
        15,
        "encoder-unet",
        {"backbone": "resnet18"},
        384 * 384,
        16,
        "a light encoder gets many steps in that time",
    ),
    Preset(
        False,
        2,
        UNLIMITED,
        "encoder-unet",
        {"backbone": "resnet50"},
        512 * 1024,
        16,
        "a U-Net on ResNet-50 preserves detail and suits most data",
    ),
    Preset(
        False,
        3,
        UNLIMITED,
        "nnunet",
        {},
        128**3,
        2,
        "its stages are planned for the spacing and size of volumes",
    ),
)


def find_preset(*, on_cpu: bool, spatial_dims: int, minutes: float | None) -> Preset:
    """Return the first row that applies."""
    for row in PRESETS:
        if (row.on_cpu, row.spatial_dims) == (on_cpu, spatial_dims) and (minutes or UNLIMITED) <= row.minutes:
            return row
    raise AssertionError(f"PRESETS has no row for on_cpu={on_cpu}, {spatial_dims} dimensions")


@dataclass(frozen=True)
class SizePreset:
    """Options of a task's usual network under some conditions.

    Attributes:
        on_cpu: Whether the row is for the CPU or for accelerators.
        minutes: Maximum time budget; a run without one counts as unlimited.
        options: Options of the network.
        why: Reason, to follow "because".
    """

    on_cpu: bool
    minutes: float
    options: Mapping[str, Any]
    why: str


def find_size(rows: Sequence[SizePreset], situation: Situation) -> SizePreset:
    """Return the first row that applies to device and time budget."""
    on_cpu, minutes = situation.machine.is_cpu, situation.minutes or UNLIMITED
    return next(row for row in rows if row.on_cpu == on_cpu and minutes <= row.minutes)
