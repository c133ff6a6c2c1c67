"""Findings about the files themselves: unreadable, different in size, of unusual kinds."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from math import prod

from limner.checks.class_findings import percentage
from limner.checks.codes import make, place
from limner.checks.facts import DatasetFacts, ImageFacts
from limner.core.finding import Finding
from limner.core.sample import axes_text, size_text
from limner.formats.terms import MASKS, Terms

FEW_IMAGES = 10
TINY_SIDE = 32
MAX_SIZE_RATIO = 4.0


def file_findings(facts: DatasetFacts, terms: Terms = MASKS, *, drawn: bool = False) -> list[Finding]:
    """Return the findings about the files, without regard to label values.

    Args:
        facts: The result of `scan`.
        terms: The words of the format.
        drawn: Whether labels are objects in files that state the size of their image, rather than masks.
    """
    sizes = _sizes_stated(facts) if drawn else _sizes(facts, terms)
    of_labels = [*_unreadable(facts, terms), *sizes, *_numbers(facts, terms)]
    return [*of_labels, *_mixtures(facts), *_kinds(facts), *_without_data(facts)]


def _unreadable(facts: DatasetFacts, terms: Terms) -> Iterator[Finding]:
    for image in facts.images:
        if image.image_error:
            yield _broken(
                "image-unreadable",
                image.image_file,
                image.image_error,
                f"its {terms.label.removeprefix('a ')}",
            )
        if image.label_error:
            yield _broken("mask-unreadable", image.label_file, image.label_error, "its image")


def _broken(code: str, file: str, error: str, other: str) -> Finding:
    """Return the finding for an unreadable file, from the message of the error."""
    first, *rest = error.splitlines()
    parts = dict(line.strip().split(":", 1) for line in rest if ":" in line)
    what, _, where = first.partition(": ")
    # The message may name another file, such as one instance of many.
    found = what.removesuffix(".") if not where or where.endswith(file) else first
    detail = parts.get("found", "").strip()
    return make(
        code,
        file,
        f"{found}: {detail}" if detail else found,
        expected=parts.get("expected", "").strip() or "a file that can be read to its end",
        fix=parts.get("fix", "").strip()
        or f"Restore it from its origin, or remove it together with {other}.",
        files=[file],
    )


def _of_other_size(facts: DatasetFacts) -> list[ImageFacts]:
    return [i for i in facts.labelled if not i.image_error and i.label_shape != i.shape]


def _sizes_stated(facts: DatasetFacts) -> Iterator[Finding]:
    """Report label files that state another size than their images have, in one finding for each cause."""
    groups = _grouped(_of_other_size(facts), _change)
    for change, images in groups.items():
        first, factors = images[0], {round(_factor(image), 2) for image in images}
        assert first.label_shape is not None
        by = f", all by the factor {factors.pop():g}" if change == "resized" and len(factors) == 1 else ""
        yield make(
            "size-mismatch",
            place([image.label_file for image in images]),
            f"the labels state {size_text(first.label_shape)} and {first.image_file} is "
            f"{size_text(first.shape)} ({axes_text(first.shape)}); {len(images)} images differ like this{by}",
            expected="images of the size that their labels state",
            fix=_FIXES[str(change)],
            files=[image.image_file for image in images],
            proposal={"images_resized": True} if [*groups] == ["resized"] else None,
        )


_FIXES = {
    "resized": "Accept that the images were resized after the labels were drawn, so that labels are scaled.",
    "turned": "Height and width are swapped: rotate the images back, as they were when they were labelled.",
    "turned by EXIF": "The images are turned through EXIF, and the labels were drawn on them unturned: "
    "remove the orientation from the images, for example with `exiftool -Orientation= IMAGES`, or turn the "
    "labels.",
    "otherwise": "If they were resized, write `images_resized: true` into dataset.yaml; if they were cropped "
    "or replaced, restore the images that were labelled.",
}
"""What can have happened to images -> what to do."""


def _change(image: ImageFacts) -> str:
    """Return what can have happened to an image: a key of `_FIXES`."""
    assert image.label_shape is not None
    if image.label_shape == image.shape[::-1]:
        return "turned by EXIF" if image.is_exif_rotated else "turned"
    sides = zip(image.shape, image.label_shape, strict=True)
    alike = all(abs(now - _factor(image) * was) <= 1 for now, was in sides)
    return "resized" if alike else "otherwise"


def _factor(image: ImageFacts) -> float:
    assert image.label_shape is not None
    return image.shape[0] / image.label_shape[0]


def _sizes(facts: DatasetFacts, terms: Terms) -> Iterator[Finding]:
    what, are = ("the mask", "is") if terms == MASKS else (f"the {terms.labels}", "are")
    for image in _of_other_size(facts):
        turned = image.label_shape == image.shape[::-1]
        hint = f"Save {what} at the size of its image, enlarging or reducing without interpolation (nearest)."
        if turned and image.is_exif_rotated:
            hint = f"The image is rotated by its EXIF tag and {what} {are} not; rotate {what} the same way."
        elif turned:
            hint = f"Height and width are swapped: transpose {what} or the image."
        if image.volume is not None and image.volume.label_affine:
            hint = (
                "If both headers are right, write `label_grid: resample` into dataset.yaml: labels are then "
            )
            hint += "moved to the grid of their image, without interpolation."
        assert image.label_shape is not None
        yield make(
            "size-mismatch",
            image.label_file,
            f"{what} {are} {size_text(image.label_shape)} ({axes_text(image.label_shape)})",
            expected=f"{size_text(image.shape)}, the size of {image.image_file}",
            fix=hint,
            files=[image.label_file, image.image_file],
        )


def _numbers(facts: DatasetFacts, terms: Terms) -> Iterator[Finding]:
    labelled = [image for image in facts.images if image.is_labelled]
    if not labelled:
        yield make(
            "no-labelled-images",
            "the dataset",
            f"{len(facts.images)} images, and none of them has {terms.label}",
            expected=f"{terms.label} for each image to train on",
            fix="Give masks the names of their images, or set the pattern `masks` in dataset.yaml, such as "
            "`masks: labels/{stem}_mask.png`."
            if terms == MASKS
            else f"Look at the other findings: they say why the {terms.labels} were left out.",
        )
    elif len(labelled) < FEW_IMAGES:
        yield make(
            "few-images",
            "the dataset",
            f"1 image has {terms.label}"
            if len(labelled) == 1
            else f"{len(labelled)} images have {terms.labels}",
            expected=f"{FEW_IMAGES} or more; a few dozen give reliable scores",
            fix="Label more images before trusting any score.",
        )


def _mixtures(facts: DatasetFacts) -> Iterator[Finding]:
    # Unlabelled images are not trained on, so they may differ.
    images = facts.usable
    channels = _grouped(images, lambda image: image.channels)
    names = {1: "grey", 3: "colour"}
    if len(channels) > 1 and channels.keys() <= names.keys():
        counts = ", ".join(
            f"{len(group)} {names[int(key)]}" for key, group in sorted(channels.items(), key=str)
        )
        yield _mixture(
            "grey-and-colour",
            counts,
            channels,
            "No action needed: grey images get three equal channels.",
        )
    elif len(channels) > 1:
        counts = ", ".join(f"{len(group)} with {key}" for key, group in sorted(channels.items(), key=str))
        fix = "Give all images the same channels; channels are never dropped or added silently."
        yield _mixture("channels-differ", f"numbers of channels: {counts}", channels, fix)
    depths = _grouped(images, lambda image: image.dtype)
    if len(depths) > 1:
        counts = ", ".join(f"{len(group)} {key}" for key, group in sorted(depths.items(), key=str))
        fix = "Save all images with the same range of values; nothing is rescaled silently."
        yield _mixture("depth-differs", f"pixel types: {counts}", depths, fix)
    yield from _size_range(facts)


def _mixture(code: str, found: str, groups: dict[int | str, list[ImageFacts]], fix: str) -> Finding:
    rare = [image.image_file for image in min(groups.values(), key=len)]
    return make(code, place(rare), found, expected="all images of one kind", fix=fix, files=rare)


def _size_range(facts: DatasetFacts) -> Iterator[Finding]:
    readable = sorted((image for image in facts.images if image.shape), key=_area)
    if readable and _area(readable[-1]) > MAX_SIZE_RATIO * _area(readable[0]):
        smallest, largest = size_text(readable[0].shape), size_text(readable[-1].shape)
        num_sizes = len({image.shape for image in readable})
        yield make(
            "sizes-vary",
            "the images",
            f"from {smallest} to {largest} {facts.element}s ({axes_text(readable[-1].shape)}), {num_sizes} "
            "different sizes",
            fix="No action needed: training takes crops of one size.",
        )


def _kinds(facts: DatasetFacts) -> Iterator[Finding]:
    readable = [image for image in facts.images if image.shape]
    flat = [image for image in readable if image.volume is None]
    tiny = [image for image in flat if min(image.shape) < TINY_SIDE]
    if tiny:
        yield make(
            "image-tiny",
            place([image.image_file for image in tiny]),
            f"the smallest is {size_text(min(tiny, key=lambda i: min(i.shape)).shape)} pixels",
            expected=f"at least {TINY_SIDE} pixels each way",
            fix="Remove them if they are there by mistake; otherwise they are padded.",
            files=[image.image_file for image in tiny],
        )
    odd = "Check it: among photographs it may be a drawing, or a placeholder that a web page sent instead."
    for code, belongs, found, fix in (
        ("alpha-channel", lambda i: i.has_alpha, "a transparency channel, which is dropped", ""),
        (
            "sixteen-bit",
            lambda i: i.dtype not in ("uint8", "") and i.volume is None,
            "more than 8 bits per channel",
            "",
        ),
        ("palette-image", lambda i: i.has_palette, "palette indices, read as the colours they show", odd),
        (
            "exif-rotated",
            lambda i: i.is_exif_rotated,
            "an EXIF rotation, which is applied",
            "",
        ),
    ):
        files = [image.image_file for image in readable if belongs(image)]
        if files:
            found_in = f"{len(files)} of {len(readable)} images: {found}"
            yield make(
                code, place(files), found_in, fix=fix if len(files) < len(readable) else "", files=files
            )


def _without_data(facts: DatasetFacts) -> Iterator[Finding]:
    having = [image for image in facts.images if image.no_data_pixels]
    if having:
        files = [image.image_file for image in having]
        share = sum(image.no_data_pixels for image in having) / sum(prod(image.shape) for image in having)
        yield make(
            "no-data-pixels",
            place(files),
            f"{len(files)} of {len(facts.images)} images have pixels without data by their GDAL tag, "
            f"{percentage(share)} of these images",
            fix="No action needed: statistics, losses and scores leave these pixels out.",
            files=files,
        )


def _grouped(
    images: Sequence[ImageFacts], key: Callable[[ImageFacts], int | str]
) -> dict[int | str, list[ImageFacts]]:
    groups: dict[int | str, list[ImageFacts]] = defaultdict(list)
    for image in images:
        groups[key(image)].append(image)
    return dict(groups)


def _area(image: ImageFacts) -> int:
    return prod(image.shape)
