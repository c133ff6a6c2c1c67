"""A low-resolution stage before the network, where its patches show little of a volume."""

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

from limner.core.affine import spacing_text
from limner.core.plan import Decision
from limner.core.wording import share
from limner.planning.decisions import Case
from limner.planning.patch_size import LEAST_COVERED, coarser_spacing, plan_patch
from limner.planning.rules.duration import training_seconds
from limner.planning.rules.network import preset_of
from limner.planning.rules.patch import FEWEST_STEPS, seen_spacing, what_fits
from limner.tasks import find_task

KEY = "input.cascade_mm"

FIRST_SHARE = 1 / 3
"""Fraction of a time budget for the low-resolution stage: it has fewer voxels, and the second one refines. A
choice, not measured."""


def choose_cascade(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Add a low-resolution stage where a patch covers less than a quarter of the median volume, as nnU-Net.

    Unless something that the user wants does not go with a cascade, or time is too short for both stages.
    """
    if case.spatial_dims != 3 or KEY in case.given or not settled["input.resample"]:
        return
    if not find_task(settled["task"]).has_label_maps:
        return
    spacing, median = seen_spacing(case, settled), case.seen(settled).median
    fits, _ = what_fits(case, settled)
    coarse = coarser_spacing(spacing, median, fits)
    if coarse is None:
        return
    patch = plan_patch(spacing, median, fits).patch
    coarse = tuple(max(float(f"{low:.6g}"), high) for low, high in zip(coarse, spacing, strict=True))
    reason = f"a patch covers {share(prod(patch) / prod(median))} of the median volume, less than "
    reason += f"{share(LEAST_COVERED)}, which it covers at {spacing_text(coarse)}"
    obstacle = _obstacle(case, settled, patch)
    if obstacle:
        yield Decision(KEY, None, f"{reason}; but {obstacle}")
        return
    reason += ": a first stage is trained at this spacing, whose prediction gives the second one context"
    if case.minutes is not None:
        reason += f"; it gets {share(FIRST_SHARE)} of the time"
    yield Decision(KEY, coarse, f"{reason}. `--set {KEY}=null` trains one stage")


def _obstacle(case: Case, settled: Mapping[str, Any], patch: tuple[int, ...]) -> str:
    """Return why there is no low-resolution stage, or an empty string."""
    if not case.allows_cascade:
        return "a cascade is trained by `limner train` alone, in one process, with a network of limner"
    if case.start is not None:
        return "initial weights have no channels for what a first stage predicts"
    if case.teacher is not None or settled["train.unlabelled"] is not None:
        return "a cascade learns neither from a teacher nor from unlabelled images"
    if "input.crop_size" in case.given:
        return f"you set the patch, so set {KEY} as well if you want a first stage"
    if case.minutes is not None:
        step = case.measure(settled).seconds(preset_of(case, settled).batch_size * prod(patch))
        steps = training_seconds(case.minutes) * FIRST_SHARE / step
        if steps < FEWEST_STEPS:
            left = f"{case.minutes:g} min leave about {steps:.0f} steps for a first stage"
            return f"{left}, fewer than {FEWEST_STEPS}"
    return ""
