"""Prediction of images of any size."""

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

from limner.core.plan import Decision, InferencePlan, ResizePlan
from limner.core.wording import memory, size
from limner.planning.decisions import Case
from limner.planning.rules.input import memory_budget
from limner.planning.rules.network import output_of
from limner.tasks import find_task

WHOLE_BY_CROP = 8 / 7
"""Shorter side of a predicted image over the side of a training crop: 256 for 224, as usual for ImageNet."""

HALF = 0.5
"""Overlap of windows of volumes (Isensee et al. 2021); those of images keep that of `InferencePlan`."""

LONGEST_BY_SHORTEST = 2
"""Maximum aspect ratio at which the shorter side still gets its size."""


WORD_SCORE = 0.3
"""Minimum score of words, MMOCR's `min_text_score`."""


def choose_words(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Predict words with a low score too, with outlines as they are labelled."""
    if not find_task(settled["task"]).has_outlines:
        return
    reason = f"as in MMOCR; after a short training, words score below the usual {InferencePlan().word_score}"
    yield Decision("inference.word_score", WORD_SCORE, reason)
    if not case.shows_text:
        return
    if case.has_curved_words:
        yield Decision("inference.outlines", "polygons", "labelled words have more than four corners")
    else:
        yield Decision("inference.outlines", "boxes", "all labelled words have four corners")


def choose_window(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Predict whole images, or with a sliding window if the largest does not fit in memory.

    For tasks that see whole images, they are resized instead.
    """
    task = find_task(settled["task"])
    allowed = task.allowed_for(output_of(settled).__name__)
    if task.sees_whole_images:
        yield Decision("inference.window", None, "each image is seen as a whole")
        yield from _size_of_whole(case, settled)
        return
    if not allowed.windows:
        yield Decision("inference.window", None, "borders of windows would cut objects")
        return
    resize = settled["inference.resize"] or settled["input.resize"]
    fingerprint, budget = case.fingerprint.resized(resize), memory_budget(case)
    needed = prod(fingerprint.largest) * case.measure(settled).forward_bytes_per_pixel
    said = f"the largest image ({size(fingerprint.largest)}) takes about {memory(needed)}"
    if fingerprint.spatial_dims == 3:
        yield Decision("inference.window", settled["input.crop_size"], "volumes need a sliding window")
        yield Decision("inference.padding", "mean", "as patches that are larger than a volume are padded")
        reason = "predictions are least certain near window borders; windows overlap by half, as in nnU-Net"
        yield Decision("inference.overlap", HALF, reason)
    elif needed > budget:
        reason = f"{said}, more than the {memory(budget)} free: a sliding window of the crop's size"
        yield Decision("inference.window", settled["input.crop_size"], reason)
    else:
        yield Decision("inference.window", None, f"{said} and fits in memory")


def _size_of_whole(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Resize the shorter side to a little more than a crop, which shows only a part of an image."""
    if case.fingerprint.spatial_dims != 2:
        return
    side = min(settled["input.crop_size"])
    shortest = round(side * WHOLE_BY_CROP)
    reason = (
        f"crops of {side} show part of an image, so things are larger in them than in the whole image; long "
        "images are also shown as a whole, within the longest side"
    )
    resize = ResizePlan(shortest=shortest, longest=LONGEST_BY_SHORTEST * shortest)
    yield Decision("inference.resize", resize, reason)
