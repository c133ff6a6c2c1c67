"""Volumes as slices for networks in two dimensions: the axis, and the facts of the slices."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from limner.checks.facts import DatasetFacts, ImageFacts
from limner.core.affine import axis_codes, spacing_text
from limner.transforms.turn import turn_to

AXES = ("depth (z of the file)", "height (y)", "width (x)")

ANISOTROPIC = 1.3
"""Factor between spacings from which volumes have a best axis: across their thick slices."""


@dataclass(frozen=True)
class Slicing:
    """How volumes are cut into slices.

    Attributes:
        axis: Axis of the array, in the common orientation.
        neighbours: Slices on each side that are further channels.
        reason: Why this axis.
        depth: Median number of slices of a volume.
    """

    axis: int
    neighbours: int
    reason: str
    depth: int = 1


def common_codes(facts: DatasetFacts) -> str | None:
    """Return the most common directions of the axes (x, y, z); None if no volume states them."""
    affines = [image.volume.geometry.affine for image in facts.volumes if image.volume is not None]
    counts = Counter(axis_codes(affine) for affine in affines if affine is not None)
    return counts.most_common(1)[0][0] if counts else None


def choose_slicing(facts: DatasetFacts, user: Mapping[str, Any]) -> Slicing | None:
    """Return how to cut volumes into slices, if the user wants a network in two dimensions for them.

    Args:
        facts: Facts about the dataset.
        user: The user's settings, by dotted key.
    """
    wanted = user.get("input.slice_axis")
    if not facts.volumes or (user.get("input.spatial_dims") != 2 and wanted is None):
        return None
    axis, reason = (wanted, "you set it") if wanted is not None else _best_axis(_usual_spacing(facts))
    codes = common_codes(facts)
    depths = [
        image.shape[turn_to(codes, image.volume.geometry.affine).order[axis]]
        for image in facts.volumes
        if image.volume is not None and len(image.shape) == 3
    ]
    return Slicing(axis, user.get("input.slice_neighbours") or 0, reason, int(median(depths)))


def _best_axis(spacing_mm: tuple[float, ...] | None) -> tuple[int, str]:
    """Return the axis across the thickest slices, and why it is taken."""
    if spacing_mm is None:
        return 0, "the first axis, as the spacing is unknown"
    shown = spacing_text(spacing_mm)
    if max(spacing_mm) < ANISOTROPIC * min(spacing_mm):
        return 0, f"the spacing {shown} is nearly the same along all axes, so the first is taken"
    axis = max(range(3), key=lambda a: spacing_mm[a])
    return axis, f"slices are thickest along {AXES[axis]}: spacing {shown}"


def facts_of_slices(facts: DatasetFacts, slicing: Slicing | None) -> DatasetFacts:
    """Return the facts of the dataset as its slices show it; unchanged without slicing."""
    if slicing is None:
        return facts
    codes = common_codes(facts)
    return DatasetFacts(tuple(_of_slices(image, slicing, codes) for image in facts.images))


def _of_slices(image: ImageFacts, slicing: Slicing, codes: str | None) -> ImageFacts:
    if image.volume is None:
        return image
    order = turn_to(codes, image.volume.geometry.affine).order
    count = 2 * slicing.neighbours + 1

    def flat(shape: tuple[int, ...]) -> tuple[int, ...]:
        turned = [shape[axis] for axis in order] if len(shape) == 3 else [*shape]
        return tuple(side for axis, side in enumerate(turned) if axis != slicing.axis)

    return replace(
        image,
        shape=flat(image.shape),
        label_shape=None if image.label_shape is None else flat(image.label_shape),
        channels=image.channels * count,
        intensities=image.intensities * count,
    )


def _usual_spacing(facts: DatasetFacts) -> tuple[float, ...] | None:
    """Return the median spacing along each axis in the common orientation, or None if it is unknown."""
    codes = common_codes(facts)
    found = []
    for volume in (image.volume for image in facts.volumes):
        if volume is not None and volume.spacing_mm:
            order = turn_to(codes, volume.geometry.affine).order
            found.append([volume.spacing_mm[axis] for axis in order])
    return tuple(median(steps) for steps in zip(*found, strict=True)) if found else None
