"""How patches and slices of volumes may be varied.

Ranges are those of nnU-Net (Isensee et al., Nature Methods 2021). Slices are rotated as patches are; nnU-Net
rotates them by up to 180 degrees, or by 15 if they are long.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from limner.core.plan import Decision
from limner.core.wording import share, size
from limner.planning.class_sides import Sides, find_sides
from limner.planning.decisions import Case
from limner.planning.rules.patch import seen_spacing
from limner.planning.slicing import AXES
from limner.tasks import find_task
from limner.transforms.resample_volume import ANISOTROPIC

ROTATION = 30.0
"""Maximum angle around each axis in degrees."""

OFTEN = 0.2
"""Fraction of patches and slices that are rotated, and of those that are zoomed."""

VOLUME_ZOOM = (0.7, 1.4)
BRIGHTNESS, CONTRAST = 0.25, 0.25
GAMMA = (0.7, 1.5)
NOISE, BLUR, RESOLUTION = 0.1, 1.0, 0.5

FLAT = 3.0
"""Ratio of the longest side of a patch to another from which that is across thick slices, as in nnU-Net."""

_UNNAMED = re.compile(r"class \d+")


def choose_mirrors(case: Case) -> Iterator[Decision]:
    """Mirror volumes and their slices along the axes on which no class differs from another in its side."""
    codes, slicing = case.fingerprint.axis_codes, case.fingerprint.slicing
    names = case.labels.names
    unnamed = [name for name in names if _UNNAMED.fullmatch(name)]
    sides = find_sides([name for name in names if name not in unnamed])
    axes = [axis for axis in range(3) if slicing is None or axis != slicing.axis]
    if len(unnamed) > 2:
        reason = "classes without names may be left and right: name them in dataset.yaml, or set this"
        yield Decision("augment.flip_axes", (), reason)
        return
    reason = "no name of a class depends on a side, so mirror images are as likely"
    if sides:
        pairs = ", ".join(f"{one} and {other}" for one, other in (each.names for each in sides))
        reason = f"mirrors would swap {pairs}"
        axes = [] if codes is None else [axis for axis in axes if not _swaps(sides, codes[2 - axis])]
        reason += "; other axes are mirrored" if axes else ""
    places = [axis - (slicing is not None and axis > slicing.axis) for axis in axes]
    yield Decision("augment.flip_axes", tuple(places), reason)


def _swaps(sides: tuple[Sides, ...], letter: str) -> bool:
    return any(letter in each.axis for each in sides)


def choose_volume_augmentation(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Rotate and zoom some patches, and vary values of others."""
    if case.spatial_dims != 3 or find_task(settled["task"]).sees_whole_images:
        return
    patch, spacing = settled["input.crop_size"], seen_spacing(case, settled)
    thick = max(range(3), key=lambda axis: (spacing[axis], -patch[axis]))
    rest = min(step for axis, step in enumerate(spacing) if axis != thick)
    is_thick = spacing[thick] > ANISOTROPIC * rest or max(patch) > FLAT * patch[thick]
    if is_thick:
        reason = f"a patch of {size(patch)} has few or thick slices along {AXES[thick]}, which are not mixed"
    else:
        reason = "voxels are about as long along all axes"
    yield Decision("augment.thick_axis", thick if is_thick else None, reason)
    reason = f"in {share(OFTEN)} of the patches: directions vary a little between recordings"
    yield Decision("augment.rotation", ROTATION, reason)
    yield Decision(
        "augment.scale", VOLUME_ZOOM, f"in {share(OFTEN)} of the patches: sizes differ between volumes"
    )
    reason = "the others are cut out as they are, which is fast and blurs nothing"
    yield Decision("augment.affine_probability", OFTEN, reason)
    yield from _choose_values("patches", brightness=BRIGHTNESS, contrast=CONTRAST)


def choose_slice_augmentation(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Vary slices of volumes as patches are, within their plane.

    In 400 steps on slices of the hippocampus, the Dice rose from 0.61 to 0.67 and from 0.62 to 0.69 with two
    seeds (benchmarks/RESULTS.md), so short runs get them, too.
    """
    if case.fingerprint.slicing is None or not find_task(settled["task"]).has_label_maps:
        return
    spacing = seen_spacing(case, settled)
    elongation = max(spacing) / min(spacing)
    if elongation > ANISOTROPIC:
        reason = f"pixels of slices are {elongation:.2g} times as long as wide, and not mixed"
        yield Decision("augment.rotation", 0.0, reason)
    else:
        reason = f"within slices, in {share(OFTEN)} of them: directions vary a little between recordings"
        yield Decision("augment.rotation", ROTATION, reason)
    reason = "the others are cut out as they are, which is fast and blurs nothing"
    yield Decision("augment.affine_probability", OFTEN, reason)
    yield from _choose_values("slices")


def _choose_values(samples: str, **others: float) -> Iterator[Decision]:
    """Decide the changes of values that patches and slices share, after some others."""
    reason = f"scanners and protocols differ; each change in 10 to 37 % of the {samples}"
    values = {**others, "gamma": GAMMA, "noise": NOISE, "blur": BLUR, "low_resolution": RESOLUTION}
    for name, value in values.items():
        yield Decision(f"augment.{name}", value, reason)
