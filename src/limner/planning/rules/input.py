"""Input of the network: channels, normalisation, crop size."""

from collections.abc import Iterator, Mapping, Sequence
from math import pi, prod
from typing import Any

from limner.core.plan import Decision, InputPlan, ResizePlan
from limner.core.wording import channel_words, count_words, element, memory, number, share, size
from limner.networks.backbones.image_encoder import IMAGENET_MEAN, IMAGENET_STD, input_statistics
from limner.planning.decisions import Case
from limner.planning.rules.network import encoder_of, objective_of, preset_of
from limner.planning.slicing import FEWEST_SLICES
from limner.planning.volume_fingerprint import CLIPPED, Foreground
from limner.tasks import find_task
from limner.tasks.presets import Preset

HOST_SHARE, ACCELERATOR_SHARE = 0.5, 0.85
"""Fraction of the free memory that training may use; the host also caches decoded images."""

SMALLEST_SIDE = 48
"""Minimum crop side: networks need at least 33 pixels; smaller images are padded."""

FITTING_CHANNELS = {(1, 3), (2, 3), (4, 3), (2, 1)}
"""(channels of images, of network) that can be converted: grey is repeated, alpha is dropped."""

LEAST_REDUCTION = 0.9
"""Images are reduced to this fraction of their size or less; reducing them less saves little."""

FEWEST_SAMPLES = 2
"""Minimum number of crops that must fit in memory: batch normalisation needs two."""


def choose_channels(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Use the dimensions and channels of the images."""
    fingerprint = case.fingerprint
    if fingerprint.slicing is not None:
        reason = fingerprint.slicing.why
    elif fingerprint.spatial_dims == 2:
        reason = f"the median image is {size(fingerprint.median)}"
    else:
        reason = f"the median volume is {size(fingerprint.median)}"
        if min(fingerprint.median) >= FEWEST_SLICES:
            reason += ", enough slices along each axis for a network in three dimensions"
    yield Decision("input.spatial_dims", fingerprint.spatial_dims, reason)
    start = None if case.start is None else case.start.input.channels
    if start is not None and (fingerprint.channels, start) in FITTING_CHANNELS:
        reason = f"as in the initial weights; images have {channel_words(fingerprint.channels)}"
        yield Decision("input.channels", start, reason)
        return
    counts = fingerprint.channel_counts
    if len(counts) == 1:
        reason = f"all training images have {channel_words(fingerprint.channels)}"
    else:
        listed = ", ".join(f"{n} with {channel_words(c)}" for c, n in counts.items())
        reason = f"training images: {listed}"
    yield Decision("input.channels", fingerprint.channels, reason)


def choose_resize(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Keep images at their size, or resize them as in the training of the initial weights."""
    resize = None if case.start is None else case.start.input.resize
    if resize is not None:
        yield Decision("input.resize", resize, "as in the training of the initial weights")


def choose_normalization(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Use ImageNet's statistics for pretrained weights on 8-bit RGB, else those of the data."""
    fingerprint = case.fingerprint
    channels = settled["input.channels"]
    start = None if case.start is None else case.start.input
    if (
        start is not None
        and start.channels == channels
        and _is_bytes(start) == (fingerprint.dtype == "uint8")
    ):
        yield Decision("input.mean", start.mean, "as in the training of the initial weights")
        yield Decision("input.std", start.std, "as in the training of the initial weights")
        yield Decision("input.clip", start.clip, "as in the training of the initial weights")
        return
    if settled["network.pretrained"] != "no" and channels == 3 and fingerprint.dtype == "uint8":
        # With `auto`, the run finds out whether there are weights: the reason must be right in both cases.
        encoder = encoder_of(settled)
        mean, std = input_statistics(encoder) if encoder else (IMAGENET_MEAN, IMAGENET_STD)
        which = "ImageNet's statistics" if mean == IMAGENET_MEAN else f"the statistics of {encoder}"
        reason = f"{which}, which the pretrained encoder expects"
        if settled["network.pretrained"] == "auto":
            reason = f"{which}, in case there are pretrained encoder weights"
        yield Decision("input.mean", mean, reason)
        yield Decision("input.std", std, reason)
        return
    if settled["input.normalize_each"]:
        reason = "each image is normalised by its own mean and deviation first"
        yield Decision("input.mean", (0.0,) * channels, reason)
        yield Decision("input.std", (1.0,) * channels, reason)
        return
    foreground = () if fingerprint.volumes is None else fingerprint.volumes.foreground
    if foreground and channels == fingerprint.channels:
        yield from _foreground_statistics(foreground * (channels // len(foreground)))
        return
    images = count_words(fingerprint.num_training, "training image")
    reason = f"measured over all {element(case.spatial_dims)}s of {images} ({fingerprint.dtype})"
    if channels == fingerprint.channels:
        yield Decision("input.mean", fingerprint.mean, reason)
        yield Decision("input.std", fingerprint.std, reason)


def _foreground_statistics(foreground: Sequence[Foreground]) -> Iterator[Decision]:
    """Normalise by what is labelled, and clip values that hardly occur in it, such as those of metal."""
    reason = "measured on the labelled voxels of the training volumes, as in nnU-Net for CT"
    yield Decision("input.mean", tuple(each.mean for each in foreground), reason)
    yield Decision("input.std", tuple(each.std or 1.0 for each in foreground), reason)
    if all(each.low < each.high for each in foreground):
        reason = f"the {CLIPPED:g} and {100 - CLIPPED:g} percentiles of the labelled voxels"
        yield Decision("input.clip", tuple((each.low, each.high) for each in foreground), reason)


def choose_values(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Record the training images' pixel type and range, to refuse others in prediction."""
    fingerprint = case.fingerprint
    if settled["input.normalize_each"]:
        return  # any values are taken
    dtype, low, high = fingerprint.dtype, fingerprint.minimum, fingerprint.maximum
    images = count_words(fingerprint.num_training, "training image")
    reason = f"of {images} with values from {low:g} to {high:g}"
    yield Decision("input.dtype", dtype, f"the pixel type {reason}")
    yield Decision("input.value_range", range_of_type(dtype, low, high), f"the range {reason}")
    reason = "the maximum of the darkest training image"
    yield Decision("input.smallest_maximum", fingerprint.smallest_maximum, reason)


def range_of_type(dtype: str, low: float, high: float) -> tuple[float, float]:
    """Return the range of values that images of a pixel type use.

    That is 0 to 255 of 8 bits, 0 to the largest number of as many bits as the values need for other integers,
    0 to 1 for floating-point numbers within it, else the range of the images.

    Args:
        dtype: numpy name of the pixel type.
        low: Smallest value of the images.
        high: Largest value of the images.
    """
    if dtype == "uint8":
        return 0.0, 255.0
    if "int" in dtype and low >= 0:
        return 0.0, float(2 ** max(8, int(high).bit_length()) - 1)
    if "float" in dtype and low >= 0 and high <= 1:
        return 0.0, 1.0
    return low, high if high > low else low + 1


def _is_bytes(plan: InputPlan) -> bool:
    """Return whether images had 8 bits, judged by the mean."""
    return max(plan.mean) < 256


def memory_budget(case: Case) -> int:
    """Return the memory in bytes that a training step may use."""
    free = case.machine.memory.available
    return int(free * (HOST_SHARE if case.machine.is_cpu else ACCELERATOR_SHARE))


def choose_reduction(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Reduce images so far that crops show all of them, or objects whole, where time is short."""
    if case.start is not None or settled["input.resize"] is not None:
        return
    objective = objective_of(settled)
    areas = [c.object_area for c in case.fingerprint.classes if c.object_area]
    if objective.least_diameter is None or not areas or not _is_short(case):
        return
    smallest, largest = min(areas) ** 0.5, max(areas) ** 0.5
    if objective.most_diameter is not None:
        fitting = objective.most_diameter / largest
    else:
        fitting = _zoom_to_crop(case, settled)
    zoom = round(max(fitting, objective.least_diameter / smallest), 2)
    if zoom > LEAST_REDUCTION:
        return
    wide = f"the objects of the smallest class are still {number(int(smallest * zoom))} pixels wide"
    if objective.most_diameter is not None:
        reason = (
            f"objects of the largest class become {number(int(largest * zoom))} pixels wide, so that a "
            f"network from scratch sees them whole, and {wide}"
        )
    else:
        reason = (
            f"a crop shows most of an image of {size(case.fingerprint.median)}, and {wide}: more images are "
            "seen in the time"
        )
    yield Decision("input.resize", ResizePlan(zoom=zoom), reason)


def _zoom_to_crop(case: Case, settled: Mapping[str, Any]) -> float:
    """Return the zoom at which the preset's crop has the area of the median image."""
    sides = case.fingerprint.median
    if settled["augment.quarter_turns"]:
        sides = (min(sides),) * len(sides)
    return float((preset_of(case, settled).crop_pixels / prod(sides)) ** 0.5)


def _is_short(case: Case) -> bool:
    """Return whether time is short: on a CPU in a time budget, in 2 dimensions."""
    return case.machine.is_cpu and case.minutes is not None and case.spatial_dims == 2


def choose_crop(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Use the whole median image if it is small enough, else as much as budget and memory allow."""
    fingerprint, preset = case.seen(settled), preset_of(case, settled)
    if find_task(settled["task"]).sees_whole_images:
        yield _whole_image(case, preset)
        return
    if case.spatial_dims == 3:
        return  # see `choose_patch`
    cost = case.measure(settled)
    fitting = cost.pixels_that_fit(memory_budget(case), optimizer=settled["optimizer.name"])
    enough = _crop_of_objects(case, settled)
    allowed = min(preset.crop_pixels, fitting // FEWEST_SAMPLES, enough or preset.crop_pixels)
    sides = fingerprint.median
    if settled["augment.quarter_turns"]:
        sides = (min(sides),) * len(sides)
    crop = fit_crop(sides, allowed)
    if settled["augment.quarter_turns"]:
        crop = (min(crop),) * len(crop)
    reason = f"the median image is {size(fingerprint.median)}"
    if fingerprint.median != case.fingerprint.median:
        reason += f", resized from {size(case.fingerprint.median)}"
    if settled["augment.quarter_turns"]:
        reason += "; square, so that quarter turns keep the size"
    if prod(crop) < prod(sides) * 0.8:
        if allowed == enough:
            reason += "; a small crop shows several objects, and gives more steps"
        elif allowed < preset.crop_pixels:
            reason += f"; more does not fit in {memory(memory_budget(case))} of memory"
        else:
            place = "the CPU" if case.machine.is_cpu else "this accelerator"
            reason += f"; up to {number(preset.crop_pixels)} pixels per crop on {place}"
            reason += f" in {case.minutes:g} min" if case.minutes else ""
    covered = min(prod(crop) / prod(fingerprint.median), 1.0)
    yield Decision("input.crop_size", crop, f"{reason}; a crop covers {share(covered)} of it")


def _whole_image(case: Case, preset: Preset) -> Decision:
    """Use the preset's size for all images, or a smaller one if the images are smaller."""
    dims, median = case.fingerprint.spatial_dims, case.fingerprint.median
    wanted = round(preset.crop_pixels ** (1 / dims))
    side = min(wanted, max(-(-min(median) // 32) * 32, SMALLEST_SIDE))
    reason = f"every image is resized to this; the median image is {size(median)}"
    if side < wanted:
        reason += ", and larger would only blur it"
    return Decision("input.crop_size", (side,) * dims, reason)


def _crop_of_objects(case: Case, settled: Mapping[str, Any]) -> int | None:
    """Return the number of pixels in which several objects of the largest class fit, if fewer pixels help."""
    across = objective_of(settled).diameters_across
    largest = max((c.object_area or 0 for c in case.seen(settled).classes), default=0)
    return int(across**2 * largest * 4 / pi) if across and largest and _is_short(case) else None


def fit_crop(sides: Sequence[int], allowed: int) -> tuple[int, ...]:
    """Return the largest crop of at most `allowed` pixels within an image of these sides.

    Short sides are used completely, long ones share the remaining pixels; each side is then rounded down to a
    multiple of 32 (16 below 64), and is at least `SMALLEST_SIDE`.
    """
    order = sorted(range(len(sides)), key=lambda axis: sides[axis])
    crop = [0] * len(sides)
    left = float(max(allowed, 1))
    for position, axis in enumerate(order):
        equal = left ** (1 / (len(sides) - position))
        taken = min(float(sides[axis]), equal)
        crop[axis] = _round_side(int(taken + 1e-6))
        left = max(left / crop[axis], 1.0)
    return tuple(crop)


def _round_side(side: int) -> int:
    if side >= 64:
        return side // 32 * 32
    if side >= SMALLEST_SIDE:
        return side // 16 * 16
    return SMALLEST_SIDE
