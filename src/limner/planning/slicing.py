"""Volumes as slices for networks in two dimensions: the axis, and the facts of the slices."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from limner.checks.facts import DatasetFacts, ImageFacts
from limner.core.affine import axis_codes, spacing_text
from limner.transforms.resample_volume import ANISOTROPIC
from limner.transforms.turn import turn_to

AXES = ("depth (z of the file)", "height (y)", "width (x)")

EQUAL = 1.01
"""Factor up to which spacings count as equal: files round them. A choice."""

FEWEST_SLICES = 8
"""Slices from which a network in 3D can halve an axis once, by nnU-Net's rule of at least 4 afterwards."""

NEIGHBOURS = 1
"""Slices on each side of a slice with ``--spatial 2.5d``."""


@dataclass(frozen=True)
class Slicing:
    """How volumes are cut into slices.

    Attributes:
        axis: Axis of the array, in the common orientation.
        neighbours: Slices on each side that are further channels.
        reason: Why this axis.
        depth: Median number of slices of a volume.
        why: Why slices.
        why_neighbours: Why this number of neighbours.
    """

    axis: int
    neighbours: int
    reason: str
    depth: int = 1
    why: str = ""
    why_neighbours: str = ""


def common_codes(facts: DatasetFacts) -> str | None:
    """Return the most common directions of the axes (x, y, z); None if no volume states them."""
    affines = [image.volume.geometry.affine for image in facts.volumes if image.volume is not None]
    counts = Counter(axis_codes(affine) for affine in affines if affine is not None)
    return counts.most_common(1)[0][0] if counts else None


def choose_slicing(
    facts: DatasetFacts,
    given: Mapping[str, Any],
    *,
    network_dims: Sequence[int] = (2, 3),
    is_cpu: bool = False,
    origin: str = "you set it",
) -> Slicing | None:
    """Return how to cut volumes into slices, if a network in two dimensions is trained on them.

    Args:
        facts: Facts about the dataset.
        given: Settings of the user or of the initial weights, by dotted key.
        network_dims: Numbers of dimensions that the network supports.
        is_cpu: Whether the network is trained on a CPU.
        origin: Reason of what is given.
    """
    wanted, dims = given.get("input.slice_axis"), given.get("input.spatial_dims")
    if not facts.volumes or (dims == 3 and wanted is None):
        return None
    spacing, codes = _usual_spacing(facts), common_codes(facts)
    axis, reason = (wanted, origin) if wanted is not None else _best_axis(spacing)
    depths = [
        image.shape[turn_to(codes, image.volume.geometry.affine).order[axis]]
        for image in facts.volumes
        if image.volume is not None and len(image.shape) == 3
    ]
    depth = int(median(depths)) if depths else 1
    neighbours, why_neighbours = 0, "a slice by itself is trained fastest"
    if dims == 2 or wanted is not None:
        why = origin
    elif 3 not in network_dims:
        why = "the network is for images in two dimensions"
    else:
        why = _why_slices(depth, spacing, is_cpu=is_cpu) if 2 in network_dims else ""
        neighbours, why_neighbours = NEIGHBOURS, "the neighbouring slices give context"
    if not why:
        return None
    set_neighbours = given.get("input.slice_neighbours")
    if set_neighbours is not None:
        neighbours, why_neighbours = set_neighbours, origin
    return Slicing(axis, neighbours, reason, depth, why, why_neighbours)


def _why_slices(depth: int, spacing_mm: tuple[float, ...] | None, *, is_cpu: bool) -> str:
    """Return why slices suit the data better than volumes; empty if they do not."""
    if depth < FEWEST_SLICES:
        return f"volumes have {depth} slices, too few for a network in three dimensions"
    thickness = max(spacing_mm) / min(spacing_mm) if spacing_mm else 1.0
    if is_cpu and thickness > ANISOTROPIC:
        return (
            f"slices are {thickness:.2g} times as thick as their pixels, so that a third dimension adds "
            "little for its time on a CPU"
        )
    return ""


def _best_axis(spacing_mm: tuple[float, ...] | None) -> tuple[int, str]:
    """Return the axis across the thickest slices, the first of equal ones as in nnU-Net, and the reason."""
    others = "`--set input.slice_axis=1` or 2 cuts along another"
    if spacing_mm is None:
        return 0, f"the first axis, as the spacing is unknown; {others}"
    shown, worst = spacing_text(spacing_mm), max(spacing_mm)
    axis = next(a for a in range(3) if spacing_mm[a] * EQUAL >= worst)
    if worst <= EQUAL * min(spacing_mm):
        reason = f"the spacing {shown} is the same along all axes, so the first is taken, as in nnU-Net"
        return axis, f"{reason}; {others}"
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
