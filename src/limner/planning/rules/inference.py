"""Prediction of images of any size."""

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

from limner.core.plan import Decision
from limner.core.wording import memory, size
from limner.planning.decisions import Case
from limner.planning.rules.input import memory_budget
from limner.planning.rules.network import objective_of
from limner.tasks import find_task


def choose_outlines(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Predict outlines of words as they are labelled."""
    if not case.shows_text or not find_task(settled["task"]).has_outlines:
        return
    if case.has_curved_words:
        yield Decision("inference.outlines", "polygons", "labelled words have more than four corners")
    else:
        yield Decision("inference.outlines", "boxes", "all labelled words have four corners")


def choose_window(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Predict whole images, or with a sliding window if the largest does not fit in memory."""
    allowed = objective_of(settled).allowed or find_task(settled["task"]).allowed
    if not allowed.windows:
        yield Decision("inference.window", None, "borders of windows would cut objects")
        return
    resize = settled["inference.resize"] or settled["input.resize"]
    fingerprint, budget = case.fingerprint.resized(resize), memory_budget(case)
    needed = prod(fingerprint.largest) * case.measure(settled).forward_bytes_per_pixel
    said = f"the largest image ({size(fingerprint.largest)}) takes about {memory(needed)}"
    if fingerprint.spatial_dims == 3:
        yield Decision("inference.window", settled["input.crop_size"], "volumes need a sliding window")
    elif needed > budget:
        reason = f"{said}, more than the {memory(budget)} free: a sliding window of the crop's size"
        yield Decision("inference.window", settled["input.crop_size"], reason)
    else:
        yield Decision("inference.window", None, f"{said} and fits in memory")
