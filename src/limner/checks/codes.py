"""Every kind of finding: its stable code, its severity and its meaning."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from limner.core.finding import Code, Severity, build_finding
from limner.formats.format_codes import ANNOTATIONS, PAIRS
from limner.storage.whole_files import write_whole

_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE

FAMILIES: dict[str, dict[str, Code]] = {
    "pairs": PAIRS,
    "annotations": ANNOTATIONS,
    "files": {
        "image-unreadable": Code(_E, "An image is damaged, cut off, or not an image."),
        "mask-unreadable": Code(_E, "A mask (or its field of view) is damaged, cut off, or not a mask."),
        "no-labelled-images": Code(_E, "No image has a mask, so there is nothing to train on."),
        "size-mismatch": Code(_E, "A mask and its image differ in size."),
        "few-images": Code(_W, "Fewer than 10 images have masks; scores on so few are unreliable."),
        "image-tiny": Code(_W, "An image has a side of fewer than 32 pixels."),
        "channels-differ": Code(_E, "Images differ in their number of channels, beyond grey and colour."),
        "depth-differs": Code(_E, "Images differ in their pixel type, such as 8 and 16 bits."),
        "grey-and-colour": Code(_W, "Some images are grey and others in colour."),
        "sizes-vary": Code(_N, "The largest image has more than 4 times the pixels of the smallest."),
        "alpha-channel": Code(_N, "Images have a transparency channel, which is dropped."),
        "sixteen-bit": Code(_N, "Images have more than 8 bits per channel; all of them are used."),
        "palette-image": Code(_N, "Images store palette indices; they are read as the colours they show."),
        "no-data-pixels": Code(
            _N,
            "GeoTIFF images have pixels without data (GDAL's tag); statistics, losses and scores skip them.",
        ),
        "exif-rotated": Code(_N, "Images have an EXIF rotation, which is applied."),
    },
    "volumes": {
        "label-grid-differs": Code(
            _E, "A label has the size of its volume, and another spacing, orientation, direction or origin."
        ),
        "labels-rounded": Code(
            _N, "Labels are stored as floats that are not exactly whole numbers; they are rounded."
        ),
        "geometry-unknown": Code(_W, "Volumes have no affine, so their orientation is unknown."),
        "orientations-differ": Code(_N, "The axes of volumes point in different directions."),
        "volumes-mirrored": Code(
            _W, "Some volumes are left-handed and others right-handed: left and right may be swapped."
        ),
        "spacing-outlier": Code(_W, "The spacing of a volume is several times that of most others."),
        "spacings-vary": Code(_N, "Volumes differ in spacing."),
        "intensity-scales-differ": Code(
            _W, "The values of some volumes are many times those of others, as if in another unit."
        ),
        "volume-thin": Code(_W, "A volume has very few slices, or very few voxels along another axis."),
    },
    "labels": {
        "mask-is-jpeg": Code(_E, "Masks were saved as JPEG, which adds values that were not drawn."),
        "mask-has-soft-edges": Code(_E, "Two-class masks have soft edges, or several blacks and whites."),
        "mask-is-0-255": Code(_E, "Masks hold 0 and one large value, such as 255, instead of 0 and 1."),
        "mask-ignores-255": Code(
            _E, "Masks hold class numbers and 255, which usually means: ignore this pixel."
        ),
        "mask-has-negative": Code(_E, "Masks hold numbers below 0, which usually mean: ignore this pixel."),
        "mask-has-no-data": Code(_E, "Masks are GeoTIFF files that hold their own no-data value."),
        "mask-encodings-mixed": Code(_E, "Some masks mark the foreground with 1 and others with 255."),
        "palettes-differ": Code(_E, "The palettes of masks give one number different colours."),
        "names-of-values-differ": Code(
            _E, "Lists of names beside or in the label files give one value different names."
        ),
        "masks-partly-inverted": Code(_E, "Some masks are TIFF files tagged WhiteIsZero, others are not."),
        "mask-is-coloured": Code(_E, "Masks show classes as colours."),
        "mask-kinds-mixed": Code(_E, "Some masks are in colour, and others hold one channel."),
        "mask-colours-unclear": Code(_E, "Masks hold more colours than there can be classes."),
        "too-many-values": Code(_E, "Masks hold more values than there can be classes."),
        "one-value-only": Code(_E, "All masks together hold a single value."),
        "values-not-named": Code(_E, "Masks hold values that the named classes do not cover."),
        "class-list-too-short": Code(_E, "Fewer classes are named than the masks have values."),
        "values-look-like-instances": Code(_E, "Mask values seem to number objects instead of classes."),
        "values-read-as-classes": Code(
            _W, "Each mask value is one piece, at the same place in all images: a class, or one object."
        ),
        "class-never-occurs": Code(_W, "A named class is in no mask."),
        "class-covered": Code(_W, "All objects of a class lie under objects of other classes."),
        "mask-is-one-value": Code(_N, "A mask holds a single value."),
        "classes-unnamed": Code(_N, "The classes have no names yet; limner uses their numbers."),
    },
    "classes": {
        "class-absent-from-split": Code(_W, "A class is in no mask of a split."),
        "class-in-few-images": Code(_W, "A class is in fewer than 3 masks of the whole dataset."),
        "class-differs-between-splits": Code(
            _W, "A class covers several times as much of one split as of another."
        ),
        "class-spelled-differently": Code(
            _W, "Class names differ only in capitals, spaces or the encoding of accents."
        ),
        "class-rare": Code(_N, "A class has fewer than 0.1 % of the pixels."),
    },
    "splits": {
        "splits-unusable": Code(_E, "The splits that the layout or dataset.yaml names cannot be used."),
        "same-image-in-two-splits": Code(_W, "The same pixels are in two splits: scores look too good."),
        "near-duplicate-in-two-splits": Code(
            _W, "Almost the same picture is in two splits: scores look too good."
        ),
        "same-image-twice": Code(_N, "The same pixels are in one split twice."),
        "near-duplicate": Code(_N, "Almost the same picture is in one split twice."),
    },
    "names": {
        "augmented-copies-in-two-splits": Code(
            _W, "By their names, augmented copies of one original are in several splits."
        ),
        "augmented-copies": Code(_N, "By their names, some images are augmented copies of others."),
        "slices-of-cases": Code(
            _N, "By their names, images are slices of volumes, which share a split and are scored as cases."
        ),
        "images-may-be-slices": Code(
            _W, "Numbered images follow each other like slices of volumes; limner asks whether they are."
        ),
        "group-in-two-splits": Code(
            _W, "By their names, images of one patient, video or slide are in several splits."
        ),
    },
    "outliers": {
        "outlier-size": Code(_N, "An image is far larger or smaller than nearly all others."),
        "outlier-intensity": Code(_N, "An image is far darker or brighter than nearly all others."),
        "outlier-label-area": Code(_N, "Far more or less of an image is labelled than of nearly all others."),
    },
}
"""Family -> code -> what it means; a family is the file of that name, but the first two are of formats."""

CODES: dict[str, Code] = {code: row for family in FAMILIES.values() for code, row in family.items()}
"""Code -> what it means."""


make = partial(build_finding, CODES)
"""Returns a finding of a known code, see `build_finding`."""


def place(files: Sequence[str]) -> str:
    """Return the place of a finding: the file, or the first one and the number of others."""
    return files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"


def write_codes(page: Path) -> None:
    """Write the tables into the page that has them already, in place of the old ones."""
    text = page.read_text("utf-8")
    write_whole(page, text[: text.index("### ")] + codes_as_markdown().rstrip() + "\n")


def codes_as_markdown() -> str:
    """Return the tables of docs/checks.md, which are its end."""
    lines: list[str] = []
    for family, codes in FAMILIES.items():
        lines += [f"### {family}", "", "| code | severity | what it means |", "|---|---|---|"]
        lines += [f"| `{name}` | {_severities(code)} | {code.meaning} |" for name, code in codes.items()]
        lines.append("")
    return "\n".join(lines)


def _severities(code: Code) -> str:
    return " or ".join(one.value for one in (code.severity, code.also) if one)
