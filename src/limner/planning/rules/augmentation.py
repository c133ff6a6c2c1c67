"""How training images may be varied without becoming something else."""

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

from limner.core.plan import Decision
from limner.core.wording import channel_words, count_words, element, share, size
from limner.planning.decisions import Case
from limner.planning.orientation import FEWEST_IMAGES, SHARED_AT_MOST, Orientation
from limner.planning.rules.volume_augmentation import choose_mirrors
from limner.tasks import find_task

ONE_MAGNIFICATION = (0.7, 1.4)
"""Zoom range for images taken at a fixed distance (microscope, satellite)."""

ANY_DISTANCE = (0.5, 2.0)
"""Zoom range for scenes, in which objects can be near or far."""

LARGE_SCALE_JITTER = (0.1, 2.0)
"""Zoom range of large-scale jitter for objects (Ghiasi et al. 2021, Simple Copy-Paste; as in Mask2Former);
not used on a CPU, since it needs long training."""

PART_OF_IMAGE, MOST_OF_IMAGE = (0.25, 1.0), (0.6, 1.0)
"""Part of the area of an image that a crop of it shows; recipes for a million images go down to 0.08."""

FILLED = 0.75
"""Minimum fraction of a crop's side that a zoomed-out image fills; the rest is padding."""

LONGEST_TO_TURN = 2.0
"""Maximum aspect ratio for quarter turns; square crops of longer images lose too much."""

GREY = 0.9
"""Fraction of grey images from which colour augmentation is disabled."""

RARE_FOREGROUND, SMALL_CROP = 0.05, 0.5
"""Foreground fraction of pixels, and crop fraction of the image, below which crops favour the foreground."""

SOUGHT = 0.33
"""Fraction of crops centred on the foreground: a third as in nnU-Net, so that each batch has some."""


def choose_geometry(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Choose mirrors and quarter turns if orientation is meaningless in the images."""
    fingerprint = case.fingerprint
    if fingerprint.are_volumes:
        yield from choose_mirrors(case)
        yield Decision("augment.quarter_turns", False, "volumes are recorded in a fixed orientation")
        return
    if case.shows_text:
        yield from _keep_upright("the images contain text, which is never mirrored and rarely rotated")
        rotation = find_task(settled["task"]).rotation
        if rotation:
            reason = "signs are seen from the side and cameras held askew; corners of crops become empty"
            yield Decision("augment.rotation", rotation, reason)
        return
    found = fingerprint.orientation
    axes = tuple(axis for axis, yes in ((0, found.mirrors_up_down), (1, found.mirrors_left_right)) if yes)
    median = case.seen(settled).median
    elongation = max(median) / max(min(median), 1)
    turns = found.turns and elongation <= LONGEST_TO_TURN
    reason = _orientation_reason(found)
    yield Decision("augment.flip_axes", axes, reason)
    if found.turns and not turns:
        reason = f"the images are long ({size(median)}), so quarter turns would crop too much"
    yield Decision("augment.quarter_turns", turns, reason)


def _keep_upright(reason: str) -> Iterator[Decision]:
    yield Decision("augment.flip_axes", (), reason)
    yield Decision("augment.quarter_turns", False, reason)


def choose_zoom(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Choose a zoom range for the kind of images, in which crops stay mostly filled."""
    if find_task(settled["task"]).sees_whole_images:
        yield from _part_of_image(settled)
        return
    if case.spatial_dims == 3:
        return  # see `choose_volume_augmentation`
    has_jitter = find_task(settled["task"]).large_scale_jitter
    if has_jitter and not settled["augment.quarter_turns"] and not case.machine.is_cpu:
        reason = "large-scale jitter: 0.1 to 2 times the zoom at which an image fits the crop, with padding"
        if "augment.scale" not in case.given:
            yield Decision("augment.scale_of", "fit", "large-scale jitter is relative to the crop")
        factor = _fit(case, settled) / _unit(case, settled)
        low, high = (round(zoom * factor, 3) for zoom in LARGE_SCALE_JITTER)
        yield Decision("augment.scale", (low, high), reason)
        return
    if settled["augment.quarter_turns"]:
        (low, high), reason = ONE_MAGNIFICATION, "images that may be turned have a constant magnification"
    elif case.fingerprint.are_volumes:
        (low, high), reason = ONE_MAGNIFICATION, "slices of volumes have a constant magnification"
    else:
        (low, high), reason = ANY_DISTANCE, "objects may be near or far"
    crop, median = settled["input.crop_size"], case.seen(settled).median
    filled = FILLED * max(side / of for side, of in zip(crop, median, strict=True)) / _unit(case, settled)
    if filled > low:
        low = min(round(filled, 2), 1.0)
        reason += f"; with a zoom below {low:g}, images would not fill a crop of {size(crop)}"
    yield Decision("augment.scale", (low, high), reason)


def _fit(case: Case, settled: Mapping[str, Any]) -> float:
    """Return the zoom at which the median image just fits in the crop."""
    crop, median = settled["input.crop_size"], case.seen(settled).median
    return float(min(side / of for side, of in zip(crop, median, strict=True)))


def _unit(case: Case, settled: Mapping[str, Any]) -> float:
    """Return the zoom of the median image that a scale of 1 means."""
    return _fit(case, settled) if settled["augment.scale_of"] == "fit" else 1.0


def _part_of_image(settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Choose the part of the image's area that a crop shows."""
    if settled["augment.quarter_turns"]:
        area, reason = MOST_OF_IMAGE, "most of the image: images that may be turned have one magnification"
    else:
        area, reason = PART_OF_IMAGE, "a random part of the image, which still shows its class"
    yield Decision("augment.crop_area", area, reason)
    yield Decision("augment.scale", (1.0, 1.0), "not used: a crop shows a part of the image's area")


def _orientation_reason(found: Orientation) -> str:
    if not found.is_known:
        few = count_words(found.num_images, "image")
        return f"too few to tell whether orientation matters: {few}; {FEWEST_IMAGES} are needed"
    measured = (
        f"asymmetry shared by all images: left-right {share(found.left_right.shared)}, "
        f"up-down {share(found.up_down.shared)}, quarter turn {share(found.turn.shared)}"
    )
    if found.turns:
        return f"orientation is meaningless: {measured}"
    differing = [
        sides
        for sides, may_swap in (
            ("left and right", found.mirrors_left_right),
            ("top and bottom", found.mirrors_up_down),
        )
        if not may_swap
    ]
    if differing:
        return f"{' and also '.join(differing)} differ in the same way in all images: {measured}"
    if found.turn.exceeds(SHARED_AT_MOST):
        return f"mirroring changes little, quarter turns more: {measured}"
    return f"mirroring changes little, but left and right differ too much for quarter turns: {measured}"


def choose_colour(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Vary colours only in colour images, and brightness less if values are measurements."""
    fingerprint = case.fingerprint
    reason = ""
    if case.spatial_dims == 3:
        reason = "not used for volumes"
    elif fingerprint.channels != 3:
        reason = f"only for 3 colour channels; these images have {channel_words(fingerprint.channels)}"
    elif fingerprint.dtype != "uint8":
        reason = f"{fingerprint.dtype} values are measurements rather than colours"
    elif fingerprint.grey_share >= GREY:
        reason = f"{share(fingerprint.grey_share)} of the images are grey although stored as RGB"
    colourful = f"colour images ({share(1 - fingerprint.grey_share)} of them)"
    yield Decision("augment.saturation", 0.0 if reason else 0.5, reason or colourful)
    yield Decision("augment.hue", 0.0 if reason else 0.05, reason or colourful)
    if case.spatial_dims == 3:
        return
    if fingerprint.dtype == "uint8":
        reason = "8-bit images, whose exposure varies"
        yield Decision("augment.brightness", 0.125, reason)
        yield Decision("augment.contrast", 0.5, reason)
    else:
        reason = f"small, since {fingerprint.dtype} values are measurements"
        yield Decision("augment.brightness", 0.05, reason)
        yield Decision("augment.contrast", 0.25, reason)


def choose_sampling(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Avoid crops filled by one class, and favour rare foreground."""
    if find_task(settled["task"]).sees_whole_images:
        reason = "classes of whole images have no position"
        yield Decision("augment.category_max_ratio", 1.0, f"not used: {reason}")
        yield Decision("augment.foreground_probability", 0.0, f"not used: {reason}")
        return
    fingerprint = case.fingerprint
    shares = [c.pixel_share for c in fingerprint.classes]
    common = max(fingerprint.classes, key=lambda c: c.pixel_share)
    covered = min(prod(settled["input.crop_size"]) / prod(case.seen(settled).median), 1.0)
    if case.spatial_dims == 2 and len(shares) >= 5 and max(shares) < 0.6 and covered < SMALL_CROP:
        reason = (
            f"{len(shares)} classes, and a crop is {share(covered)} of an image: avoid crops of one class"
        )
        yield Decision("augment.category_max_ratio", 0.75, reason)
    else:
        yield Decision("augment.category_max_ratio", 1.0, "crops of a single class need not be avoided")
    others = 1 - common.pixel_share
    what = f"{share(others)} of the {element(case.spatial_dims)}s are not {common.name}"
    crop = f"a crop is {share(covered)} of an image"
    sought = find_task(settled["task"]).sought
    if sought and sum(part > 0 for part in shares) < 2:
        reason = f"most crops show {common.name}, and the others what must not be mistaken for it"
        yield Decision("augment.foreground_probability", sought, reason)
    elif sum(part > 0 for part in shares) < 2:
        labelled = f"all labelled {element(case.spatial_dims)}s"
        reason = f"{labelled} are {common.name}, so there is nothing else to centre crops on"
        yield Decision("augment.foreground_probability", 0.0, reason)
    elif case.spatial_dims == 3 and covered < 1:
        reason = f"{crop}; a third of the patches is centred on a class, drawn evenly, as in nnU-Net"
        yield Decision("augment.foreground_probability", SOUGHT, reason)
    elif others >= RARE_FOREGROUND:
        yield Decision("augment.foreground_probability", 0.0, f"{what}, enough for random crops")
    elif covered >= SMALL_CROP:
        reason = f"{what}, but {crop}, so that random crops usually contain them"
        yield Decision("augment.foreground_probability", 0.0, reason)
    else:
        yield Decision("augment.foreground_probability", SOUGHT, f"{what}, and {crop}")
