"""Volumes: slices for networks in two dimensions, orientation, and normalisation of each by itself."""

from collections.abc import Iterator, Mapping
from typing import Any

from limner.core.plan import Decision
from limner.planning.decisions import Case

HOUNSFIELD = -200.0
"""A 0.5th percentile below this is that of air in CT; MR and microscopes give no such values."""

EMPTY_SLICES = 0.25
"""Maximum part of the training slices without foreground: they are alike, and volumes can be mostly empty."""


def choose_slices(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Decide how volumes are turned, cut and normalised; nothing for images."""
    fingerprint = case.fingerprint
    if not fingerprint.are_volumes:
        return
    if fingerprint.axis_codes is not None:
        codes = fingerprint.axis_codes
        yield Decision("input.orientation", codes, "the most common directions of the axes (x, y, z)")
    slicing = fingerprint.slicing
    if slicing is not None:
        yield Decision("input.slice_axis", slicing.axis, slicing.reason)
        yield Decision("input.slice_neighbours", slicing.neighbours, "a slice by itself is trained fastest")
        reason = "slices without foreground are alike, and would fill most batches"
        yield Decision("input.empty_slices", EMPTY_SLICES, reason)
    darkest = min(fingerprint.low)
    if darkest > HOUNSFIELD:
        reason = "values without a unit, as in MR: each volume gets mean 0 and standard deviation 1"
        yield Decision("input.normalize_each", True, reason)
    else:
        reason = f"values down to {darkest:g}, as in CT, have one unit in all volumes"
        yield Decision("input.normalize_each", False, reason)
