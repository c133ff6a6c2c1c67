"""How training images may be varied without becoming something else."""

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

from limner.core.plan import Decision
from limner.core.wording import channel_words, share, size
from limner.planning.decisions import Case
from limner.planning.orientation import FEWEST_IMAGES, Orientation
from limner.tasks import find_task

ONE_MAGNIFICATION = (0.7, 1.4)
"""Zoom where all images are taken at one distance (a microscope, a satellite)."""

ANY_DISTANCE = (0.5, 2.0)
"""Zoom of scenes, where the same thing is near and far."""

LARGE_SCALE_JITTER = (0.1, 2.0)
"""Zoom of scenes for objects and regions, from Simple Copy-Paste (Ghiasi et al. 2021), used by Mask2Former;
it needs long training, so not on a CPU."""

FILLED = 0.75
"""Part of a crop's side that a zoomed-out image should still fill; the rest is padding."""

LONGEST_TO_TURN = 2.0
"""Longer side over shorter one; longer images lose too much when turned."""

GREY = 0.9
"""Part of grey images from which changing colours is idle."""

RARE_FOREGROUND, SMALL_CROP = 0.05, 0.5
"""Foreground part of the pixels, and crop part of the image, below which crops seek the foreground."""

SOUGHT = 0.33
"""Part of the crops that seek it: enough for each batch to hold some (nnU-Net's third)."""


def choose_geometry(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Mirror and turn only where the images say that it means nothing."""
    fingerprint = case.fingerprint
    if fingerprint.spatial_dims == 3:
        yield from _kept_upright(
            "left and right mean something in most volumes; mirror them only on your own word"
        )
        return
    if case.shows_text:
        yield from _kept_upright("the images show text, which is never mirrored and seldom turned")
        return
    found = fingerprint.orientation
    axes = tuple(axis for axis, yes in ((0, found.mirrors_up_down), (1, found.mirrors_left_right)) if yes)
    elongation = max(fingerprint.median) / max(min(fingerprint.median), 1)
    turns = found.turns and elongation <= LONGEST_TO_TURN
    reason = _orientation_reason(found)
    yield Decision("augment.flip_axes", axes, reason)
    reason = "for the same reason as augment.flip_axes"
    if found.turns and not turns:
        reason = f"the images are long ({size(fingerprint.median)}): turned, they would lose their ends"
    yield Decision("augment.quarter_turns", turns, reason)


def _kept_upright(reason: str) -> Iterator[Decision]:
    yield Decision("augment.flip_axes", (), reason)
    yield Decision("augment.quarter_turns", False, reason)


def choose_zoom(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Zoom as far as the kind of images goes, and no further out than leaves the crop mostly filled."""
    if case.fingerprint.spatial_dims == 3:
        yield Decision("augment.scale", (1.0, 1.0), "voxels have a size; it is kept")
        return
    has_jitter = find_task(settled["task"]).large_scale_jitter
    if has_jitter and not settled["augment.quarter_turns"] and not case.machine.is_cpu:
        crop, median = settled["input.crop_size"], case.fingerprint.median
        fit = min(side / of for side, of in zip(crop, median, strict=True))
        low, high = (round(fit * factor, 3) for factor in LARGE_SCALE_JITTER)
        reason = (
            "large-scale jitter: 0.1 to 2 times the zoom at which an image fits the crop; the rest is padded"
        )
        yield Decision("augment.scale", (low, high), reason)
        return
    if settled["augment.quarter_turns"]:
        (low, high), reason = ONE_MAGNIFICATION, "orientation means nothing: images of one magnification"
    else:
        (low, high), reason = ANY_DISTANCE, "things may be near or far"
    crop, median = settled["input.crop_size"], case.fingerprint.median
    filled = FILLED * max(side / of for side, of in zip(crop, median, strict=True))
    if filled > low:
        low = min(round(filled, 2), 1.0)
        reason += f"; zoomed out below {low:g}, images would not fill a crop of {size(crop)}"
    yield Decision("augment.scale", (low, high), reason)


def _orientation_reason(found: Orientation) -> str:
    if not found.is_known:
        return (
            f"{found.num_images} images are too few to tell whether top and bottom mean something "
            f"({FEWEST_IMAGES} are needed)"
        )
    said = (
        f"of what a mirror or turn changes, the images have in common: left-right "
        f"{share(found.left_right.shared)}, up-down {share(found.up_down.shared)}, quarter turn "
        f"{share(found.turn.shared)}"
    )
    if found.turns:
        return f"orientation means nothing here: {said}"
    if found.mirrors_up_down:
        return f"mirrors mean little here, turns do: {said}"
    return f"top and bottom differ in all images alike: {said}"


def choose_colour(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Vary colours only in colour images, and brightness gently where values are measurements."""
    fingerprint = case.fingerprint
    reason = ""
    if fingerprint.channels != 3:
        reason = f"there is no colour in {channel_words(fingerprint.channels)}"
    elif fingerprint.dtype != "uint8":
        reason = f"{fingerprint.dtype} values are measurements rather than colours"
    elif fingerprint.grey_share >= GREY:
        reason = f"{share(fingerprint.grey_share)} of the images are grey although stored as RGB"
    colourful = f"colour images ({share(1 - fingerprint.grey_share)} of them)"
    yield Decision("augment.saturation", 0.0 if reason else 0.5, reason or colourful)
    yield Decision("augment.hue", 0.0 if reason else 0.05, reason or colourful)
    if fingerprint.dtype == "uint8":
        reason = "8-bit images, whose exposure varies"
        yield Decision("augment.brightness", 0.125, reason)
        yield Decision("augment.contrast", 0.5, reason)
    else:
        reason = f"gently: {fingerprint.dtype} values are measurements"
        yield Decision("augment.brightness", 0.05, reason)
        yield Decision("augment.contrast", 0.25, reason)


def choose_sampling(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Draw crops again where one class would fill them; seek foreground that is rare."""
    fingerprint = case.fingerprint
    shares = [c.pixel_share for c in fingerprint.classes]
    covered = min(prod(settled["input.crop_size"]) / prod(fingerprint.median), 1.0)
    if len(shares) >= 5 and max(shares) < 0.6 and covered < SMALL_CROP:
        reason = f"{len(shares)} classes and crops of {share(covered)} of an image: avoid crops of one class"
        yield Decision("augment.category_max_ratio", 0.75, reason)
    else:
        yield Decision("augment.category_max_ratio", 1.0, "crops need not be mixed: any crop will do")
    foreground = 1 - max(shares)
    if foreground < RARE_FOREGROUND and covered < SMALL_CROP:
        reason = f"foreground is {share(foreground)} of the pixels and a crop {share(covered)} of an image"
        yield Decision("augment.foreground_probability", SOUGHT, reason)
    else:
        reason = (
            f"crops of {share(covered)} of an image meet the foreground ({share(foreground)}) by themselves"
        )
        yield Decision("augment.foreground_probability", 0.0, reason)
