"""Every kind of finding: its stable code, its severity and its meaning."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from limner.core.finding import MOST_FILES, Finding, Severity


@dataclass(frozen=True)
class Code:
    """One kind of finding.

    Attributes:
        severity: Errors stop training, warnings and notes do not.
        meaning: One sentence for docs/checks.md.
    """

    severity: Severity
    meaning: str


_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE

FAMILIES: dict[str, dict[str, Code]] = {
    # From the formats, which pair the files; listed here to be documented with the others.
    "pairs": {
        "layout": Code(_N, "Which folders were taken as images and masks, and how they were paired."),
        "known-dataset": Code(
            _N, "A public dataset's layout, or a class table beside the masks, names the values."
        ),
        "several-datasets": Code(
            _E,
            "Folders, or images with other labels in the same folders, that are left out are datasets of "
            "their own: a warning if they are small.",
        ),
        "listed-file-missing": Code(_W, "A list names files that are not there."),
        "listed-class-unknown": Code(_E, "A list gives an image a class that the class names do not have."),
        "listed-class-unclear": Code(_W, "A list gives an image no class, or several; it is left out."),
        "class-order": Code(_W, "dataset.yaml renames numbered class folders by their position."),
        "image-without-mask": Code(_W, "Images have no mask; they are left out of training and scoring."),
        "image-not-segmented": Code(_N, "Images of a VOC folder have no mask and are in no list."),
        "mask-without-image": Code(_W, "Masks belong to no image; they are not used."),
        "channel-missing": Code(_E, "Cases of volumes lack the file of a channel that others have."),
        "several-images": Code(_W, "A folder that should hold one image holds several; they are left out."),
        "class-mask-missing": Code(_W, "One mask a class: some images lack the masks of some classes."),
        "ambiguous-pairing": Code(_W, "An image could belong to several masks; it is left out."),
        "mask-shared-by-images": Code(_W, "One mask serves several images."),
        "several-label-sets": Code(_W, "Other folders could also hold the masks; they are not used."),
        "other-labels-not-used": Code(_N, "Further label files are not used, such as a second observer's."),
        "split-unlabelled": Code(_N, "No image of a split has a mask, as in the test sets of challenges."),
        "split-names-unknown-image": Code(_W, "A split list names images that are not there."),
        "split-list-not-used": Code(_W, "A list of a split's images is not used; the finding says why."),
        "image-in-no-split": Code(_N, "Images are in no split list; they are left out."),
        "image-kind-not-read": Code(_W, "Pictures that limner does not read are beside the images."),
        "folder-named-like-image": Code(_W, "A folder is named like an image file; it is skipped."),
        "folder-linked-twice": Code(_W, "A link leads to a folder that is listed already."),
        "name-garbled": Code(_W, "A file or folder has a name that is not UTF-8; it is skipped."),
        "folder-unreadable": Code(_W, "A folder cannot be listed for lack of permission."),
    },
    # From the formats too, about single annotations.
    "annotations": {
        "category-unknown": Code(_E, "An annotation has a category id that is not defined."),
        "category-listed-twice": Code(_E, "Two categories have the same id or name."),
        "image-listed-twice": Code(_E, "Two images have the same id, so annotations could belong to either."),
        "image-missing": Code(_W, "A listed image is not on disk; it is left out."),
        "image-not-listed": Code(_N, "An image on disk is in no JSON; it is left out."),
        "folder-not-listed": Code(_N, "A folder holds images and no JSON lists any of them; it is left out."),
        "image-in-two-files": Code(_W, "An image is in two label files; the first is used."),
        "image-annotated-twice": Code(_E, "COCO: two files hold different annotations of one image."),
        "image-under-two-ids": Code(_W, "COCO: one file has two image ids; all its annotations are used."),
        "categories-numbered-differently": Code(
            _W, "COCO: files number their categories differently; those of one name are one class."
        ),
        "annotation-image-unknown": Code(_W, "An annotation belongs to an image that is not listed."),
        "annotation-listed-twice": Code(_W, "Two annotations have the same id; both are used."),
        "annotation-malformed": Code(
            _E, "An annotation is incomplete or has values of another type; it is left out."
        ),
        "flags-unclear": Code(_W, "labelme: an image has no flag set, or several; it is left out."),
        "annotation-without-mask": Code(_W, "An annotation has a box and no mask; it is left out."),
        "boxes-among-masks": Code(_E, "Objects have only a box although others have masks."),
        "folder-without-labels": Code(_W, "A folder of images has no label file at all; it is left out."),
        "boxes-only": Code(_N, "No annotation has a mask: these are labels for detection."),
        "run-order-unclear": Code(_E, "Run lengths of a CSV could go down columns or along rows."),
        "attribute-unclear": Code(_E, "VIA: regions have several attributes that could be the class."),
        "box-zero-size": Code(_W, "A box has no width or no height; it is left out."),
        "box-outside-image": Code(_W, "A box reaches outside the image; it is clipped at the border."),
        "annotation-without-image": Code(_W, "A label file belongs to no image."),
        "size-not-stated": Code(_W, "A label file does not state the image size; the image's own is used."),
        "value-outside-0-1": Code(_W, "A YOLO number is not between 0 and 1; it is clipped."),
        "coordinates-in-pixels": Code(_E, "YOLO: coordinates are pixels instead of fractions; left out."),
        "class-beyond-names": Code(_E, "A YOLO class number has no name in data.yaml."),
        "names-unreadable": Code(_W, "YOLO: data.yaml names no classes that can be used; they get numbers."),
        "several-labels": Code(_W, "Label Studio: a region has several labels; the first is used."),
        "class-not-named": Code(_W, "Objects have a class that dataset.yaml does not name; left out."),
        "shape-unknown": Code(_W, "A shape is of a kind that limner does not know; it is left out."),
        "drawn-by-width": Code(_N, "Lines and points are drawn with a width, since they have no area."),
        "polygon-crosses-itself": Code(_W, "An outline crosses itself."),
        "word-crosses-itself": Code(
            _W, "The outline of a word crosses itself: corners are put in order, or the largest loop is used."
        ),
        "box-and-mask-disagree": Code(_W, "A stated box is more than 2 pixels from its mask."),
        "annotation-repeated": Code(_W, "An object is drawn twice; both are used."),
        "objects-overlap": Code(_N, "Objects that should not overlap share pixels."),
        "classes-overlap": Code(_W, "One mask a class: pixels are in the masks of several classes."),
        "segment-not-in-png": Code(_W, "A panoptic segment is listed and has no pixel in the PNG."),
        "crowd": Code(_N, "Some annotations are crowds, which are neither trained on nor scored."),
        "not-exhaustive": Code(_N, "LVIS: not all objects of some classes are drawn in these images."),
        "polygon-too-short": Code(_W, "A polygon has fewer than 3 points; it is left out."),
        "polygon-outside-image": Code(
            _W, "A polygon reaches outside the image; it is clipped at the border."
        ),
        "annotation-empty": Code(_W, "An annotation covers no pixel of the image; it is left out."),
        "rle-wrong-length": Code(_W, "Run lengths do not add up to the image; the annotation is left out."),
        "text-ignored": Code(_N, "Words are marked as unreadable (`###` or `ignore`); they are ignored."),
        "ids-are-text": Code(_N, "Ids are written as text; they are compared as the numbers they spell."),
        "other-annotations-not-used": Code(_N, "Another JSON of the same images is not used."),
    },
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
        "sixteen-bit": Code(_N, "Images have more than 8 bits a channel; all of them are used."),
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
            _N, "Labels are stored as floats that are whole numbers only nearly; they are rounded."
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
        "mask-has-soft-edges": Code(_E, "Two-class masks hold soft edges, or several blacks and whites."),
        "mask-is-0-255": Code(_E, "Masks hold 0 and one large value, such as 255, instead of 0 and 1."),
        "mask-ignores-255": Code(
            _E, "Masks hold class numbers and 255, which usually means: ignore this pixel."
        ),
        "mask-has-negative": Code(_E, "Masks hold numbers below 0, which usually mean: ignore this pixel."),
        "mask-has-no-data": Code(_E, "Masks are GeoTIFF files that hold their own no-data value."),
        "mask-encodings-mixed": Code(_E, "Some masks mark the foreground with 1 and others with 255."),
        "palettes-differ": Code(_E, "The palettes of masks show one number in different colours."),
        "masks-partly-inverted": Code(_E, "Some masks are TIFF files tagged WhiteIsZero, others are not."),
        "mask-is-coloured": Code(_E, "Masks show classes as colours."),
        "mask-kinds-mixed": Code(_E, "Some masks are in colour, and others hold one channel."),
        "mask-colours-unclear": Code(_E, "Masks hold more colours than there can be classes."),
        "too-many-values": Code(_E, "Masks hold more values than there can be classes."),
        "one-value-only": Code(_E, "All masks together hold a single value."),
        "values-not-named": Code(_E, "Masks hold values that the named classes do not cover."),
        "class-list-too-short": Code(_E, "Fewer classes are named than the masks hold values."),
        "values-look-like-instances": Code(_E, "Mask values seem to number objects instead of classes."),
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
            _W, "Names of classes differ in capitals, blanks or the form of accents only."
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
"""Family -> code -> what it means; a family is the file of that name, pairs excepted."""

CODES: dict[str, Code] = {code: row for family in FAMILIES.values() for code, row in family.items()}
"""Code -> what it means."""


def make(
    code: str,
    where: str,
    found: str,
    *,
    expected: str = "",
    fix: str = "",
    files: Iterable[str] = (),
    proposal: dict[str, Any] | None = None,
) -> Finding:
    """Return a finding of a known code; the first `MOST_FILES` files are named and all are counted."""
    names = list(files)
    return Finding(
        code=code,
        severity=CODES[code].severity,
        where=where,
        found=found,
        expected=expected,
        fix=fix,
        proposal=proposal,
        files=tuple(names[:MOST_FILES]),
        count=max(1, len(names)),
    )


def place(files: Sequence[str]) -> str:
    """Return the place of a finding: the file, or the first one and the number of others."""
    return files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"


def codes_as_markdown() -> str:
    """Return the tables of docs/checks.md."""
    lines: list[str] = []
    for family, codes in FAMILIES.items():
        lines += [f"### {family}", "", "| code | severity | what it means |", "|---|---|---|"]
        lines += [f"| `{name}` | {code.severity.value} | {code.meaning} |" for name, code in codes.items()]
        lines.append("")
    return "\n".join(lines)
