"""Volumes: orientation, spacing, slices for networks in two dimensions, and normalisation."""

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

import numpy as np

from limner.core.affine import spacing_text
from limner.core.plan import Decision
from limner.core.wording import count_words, share
from limner.planning.decisions import Case
from limner.planning.slicing import AXES
from limner.planning.volume_fingerprint import Spacing, VolumeFingerprint
from limner.transforms.resample_volume import ANISOTROPIC

HOUNSFIELD = -200.0
"""A 0.5th percentile below this is that of air in CT; MR and microscopes give no such values."""

MOSTLY_EMPTY = 0.75
"""Part of a volume in the box around its voxels that are not 0, below which these are normalised alone, as in
nnU-Net."""

EMPTY_SLICES = 0.25
"""Maximum part of the training slices without foreground: they are alike, and volumes can be mostly empty. A
choice, not measured."""

FINE_PERCENTILE = 10
"""Percentile of the spacings along an axis of thick slices, as in nnU-Net: with the median, half of the
volumes would lose some of their few slices."""

SAME_SPACING = 0.01
"""Relative difference up to which spacings count as equal in reasons."""

AS_IN_START = "as in the training of the initial weights"


def choose_volumes(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Decide how volumes are turned, cut and normalised; nothing for images."""
    fingerprint = case.fingerprint
    if not fingerprint.are_volumes:
        return
    start = None if case.start is None else case.start.input
    if start is not None and start.orientation is not None:
        yield Decision("input.orientation", start.orientation, AS_IN_START)
    elif fingerprint.axis_codes is not None:
        codes = fingerprint.axis_codes
        yield Decision("input.orientation", codes, "the most common directions of the axes (x, y, z)")
    slicing = fingerprint.slicing
    if slicing is not None:
        yield Decision("input.slice_axis", slicing.axis, slicing.reason)
        yield Decision("input.slice_neighbours", slicing.neighbours, slicing.why_neighbours)
        reason = "slices without foreground are alike, and would fill most batches"
        yield Decision("input.empty_slices", EMPTY_SLICES, reason)
    darkest = min(fingerprint.low)
    if start is not None and start.normalize_each is not None:
        yield Decision("input.normalize_each", start.normalize_each, AS_IN_START)
    elif darkest > HOUNSFIELD:
        reason = "values without a unit, as in MR: each volume gets mean 0 and standard deviation 1"
        yield Decision("input.normalize_each", True, reason)
    else:
        reason = f"values down to {darkest:g}, as in CT, have one unit in all volumes"
        yield Decision("input.normalize_each", False, reason)


def choose_normalized_voxels(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Normalise by the voxels that are not 0 where volumes are mostly empty, by nnU-Net's rule."""
    volumes = case.fingerprint.volumes
    if volumes is None or not settled["input.normalize_each"]:
        return
    start = None if case.start is None else case.start.input
    if start is not None and start.normalize_each:
        yield Decision("input.normalize_over", start.normalize_over, AS_IN_START)
        return
    inside = f"the box around what is not 0 is {share(volumes.nonzero_share)} of the median volume"
    if volumes.nonzero_share < MOSTLY_EMPTY:
        reason = f"{inside}, as where heads are cut out: what is not 0 is normalised, and zeros stay 0"
        yield Decision("input.normalize_over", "nonzero", reason)
    else:
        yield Decision("input.normalize_over", None, f"all voxels count: {inside}")


def choose_spacing(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Decide the spacing at which the network sees volumes, and whether they are resampled to it."""
    volumes, slicing = case.fingerprint.volumes, case.fingerprint.slicing
    if volumes is None:
        return
    start = None if case.start is None else case.start.input
    if start is not None and start.spacing_mm is not None:
        yield Decision("input.spacing_mm", start.spacing_mm, AS_IN_START)
        yield Decision("input.resample", start.resample, AS_IN_START)
        return
    if not volumes.spacings_mm:
        unknown = f"{volumes.num_without_spacing} of {len(volumes.shapes)} training volumes"
        reason = f"{unknown} do not state their spacing, so voxels are used as they are"
        yield Decision("input.resample", False, reason)
        return
    spacing, fine = target_spacing(volumes)
    reason = f"the median of {count_words(len(volumes.shapes), 'training volume')}"
    if fine is not None:
        coarse = spacing_text(volumes.median_spacing_mm)
        reason += (
            f" ({coarse}); along {AXES[fine]} the {FINE_PERCENTILE}th percentile, since slices are few there "
            "and none should be lost"
        )
    if slicing is not None:
        spacing = tuple(step for axis, step in enumerate(spacing) if axis != slicing.axis)
        reason += "; within slices"
    yield Decision("input.spacing_mm", tuple(float(f"{step:.6g}") for step in spacing), reason)
    usual = volumes.median_spacing_mm
    others = sum(not np.allclose(each, usual, rtol=SAME_SPACING) for each in volumes.spacings_mm)
    reason = "structures then have the same size in voxels in all volumes"
    if others:
        reason += f"; {share(others / len(volumes.shapes))} of them have another spacing than the median"
    yield Decision("input.resample", True, reason)


def target_spacing(volumes: VolumeFingerprint) -> tuple[Spacing, int | None]:
    """Return the spacing to resample to, and the axis on which it is finer than the median, if there is one.

    The rule is nnU-Net's: the median along each axis, and the 10th percentile along an axis whose spacing is
    more than three times that of the others, and along which volumes have less than a third of the voxels.

    Args:
        volumes: Volumes that state their spacing.
    """
    spacing = [*volumes.median_spacing_mm]
    sides = [median(lengths) for lengths in zip(*volumes.shapes, strict=True)]
    worst = max(range(3), key=lambda axis: spacing[axis])
    others = [axis for axis in range(3) if axis != worst]
    coarsest = max(spacing[axis] for axis in others)
    has_thick_slices = spacing[worst] > ANISOTROPIC * coarsest
    has_few_slices = sides[worst] * ANISOTROPIC < min(sides[axis] for axis in others)
    if not (has_thick_slices and has_few_slices):
        return tuple(spacing), None
    fine = float(np.percentile([each[worst] for each in volumes.spacings_mm], FINE_PERCENTILE))
    spacing[worst] = fine if fine >= coarsest else coarsest + 1e-5
    return tuple(spacing), worst
