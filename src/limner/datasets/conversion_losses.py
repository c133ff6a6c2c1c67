"""Losses of a conversion: what the format cannot store, defects, and duplicates, with counts."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from limner.checks.facts import ImageFacts
from limner.core.errors import DataError, describe
from limner.core.labels import ValueMap
from limner.core.sample import Record
from limner.datasets.checked import CheckResult
from limner.datasets.conversion import Conversion
from limner.formats.shapes.object_traits import OBJECT_TRAITS, traits_of
from limner.formats.source import Source
from limner.formats.writers import TRAITS

_BROKEN = {
    "unknown-classes": ("category-unknown", "class-beyond-names"),
    "defects": (
        *("annotation-malformed", "annotation-empty", "annotation-image-unknown", "annotation-without-image"),
        *("polygon-too-short", "rle-wrong-length", "box-zero-size", "shape-unknown"),
    ),
}
"""Trait -> codes of findings about annotations that are skipped when reading."""

CLEANED = ("unreadable", "duplicates", "unknown-classes", "repeated")
"""Traits that a clean copy omits on purpose."""

NO_LOSS = ("defects",)
"""Traits that are reported, but are not losses, since no format could store them."""

_KEPT_FIRST = ("test", "val", "train")
"""Order of splits for choosing among duplicates: the training copy is removed, since it inflates scores."""


@dataclass(frozen=True)
class Loss:
    """Something that the target format cannot store.

    Attributes:
        trait: One of `TRAITS`.
        becomes: What happens to it.
        files: The affected images, relative to the dataset folder; for annotations, examples of places.
        count: Number of annotations, or None if images are counted.
    """

    trait: str
    becomes: str
    files: tuple[str, ...]
    count: int | None = None

    def __str__(self) -> str:
        """Describe the loss in one line."""
        if self.count is None and len(self.files) == 1:
            where = self.files[0]
        else:
            number = f"{len(self.files)} images" if self.count is None else str(self.count)
            where = f"{number}, such as {self.files[0]}"
        return f"{TRAITS[self.trait]} ({where}): {self.becomes}"


def conversion_losses(conversion: Conversion) -> list[Loss]:
    """Return everything that is not converted."""
    checked = conversion.checked
    having = _records_by_trait(conversion)
    losses = [
        Loss(trait, becomes, tuple(map(conversion.file_of, having[trait])))
        for trait, becomes in conversion.writer.cannot_hold.items()
        if having[trait]
    ]
    losses += _broken(checked)
    return [*losses, *_duplicates(checked), *_repeated_objects(checked)] if conversion.clean else losses


def refuse_losses(losses: Sequence[Loss], to: str, *, clean: bool) -> None:
    """Reject a conversion that would lose something.

    Args:
        losses: All losses of the conversion.
        to: Name of the target format.
        clean: Whether a clean copy was requested, whose omissions are no losses.

    Raises:
        DataError: There are losses.
    """
    serious = [loss for loss in losses if loss.trait not in (*NO_LOSS, *(CLEANED if clean else ()))]
    if not serious:
        return
    raise DataError(
        describe(
            f"The format {to} cannot store everything",
            found="; ".join(map(str, serious)),
            fix="Add --lossy to convert the rest; nothing was written."
            if not {loss.trait for loss in serious} <= {*CLEANED}
            else "Add --mend for a clean copy without them; nothing was written.",
        )
    )


def _records_by_trait(conversion: Conversion) -> Mapping[str, Sequence[Record]]:
    """Return the images with each trait of `TRAITS` that a format may not support."""
    source, broken = conversion.source, _broken_images(conversion.checked)
    sound = [r for r in source.records if r.name not in broken]
    labelled = [r for r in sound if r.labels]
    having = {
        "instances": labelled if conversion.tells_objects else [],
        "transcriptions": labelled if "text-detection" in source.tasks else [],
        "field-of-view": [r for r in labelled if r.valid_region is not None],
        "unlabelled": [r for r in sound if not r.labels],
        "unreadable": [r for r in source.records if r.name in broken],
    }
    if OBJECT_TRAITS.isdisjoint(conversion.writer.cannot_hold):
        return having
    ignored = conversion.table.ignore_index
    traits = {r.name: traits_of(*conversion.objects_of(r), ignored=ignored) for r in labelled}
    return having | {trait: [r for r in labelled if trait in traits[r.name]] for trait in OBJECT_TRAITS}


def _broken_images(checked: CheckResult) -> set[str]:
    """Return the names of images that cannot be read, or whose labels cannot be read."""
    return {
        image.name
        for image in checked.facts.images
        if image.image_error is not None or (image.is_labelled and not image.is_usable)
    }


def _broken(checked: CheckResult) -> list[Loss]:
    """Return the annotations that were skipped when reading."""
    found = {trait: [f for f in checked.findings if f.code in codes] for trait, codes in _BROKEN.items()}
    return [
        Loss(trait, "are left out", tuple(f.where for f in findings), sum(f.cases or 0 for f in findings))
        for trait, findings in found.items()
        if findings
    ]


def _repeated_objects(checked: CheckResult) -> list[Loss]:
    """Return repeated annotations, which are written once."""
    found = [finding for finding in checked.findings if finding.code == "annotation-repeated"]
    return [Loss("repeated", "are written once", (f.where,), f.cases) for f in found]


def _duplicates(checked: CheckResult) -> list[Loss]:
    """Return duplicate images; copies whose labels differ are kept, since it is unknown which is right."""
    records = {record.name: record for record in checked.source.records}
    by_picture: dict[str, list[ImageFacts]] = defaultdict(list)
    for image in checked.facts.usable:
        by_picture[image.content_hash].append(image)
    copies: list[str] = []
    for group in by_picture.values():
        kept: list[ValueMap] = []
        for image in sorted(group, key=_kept_first) if len(group) > 1 else ():
            values = _compared(checked.source, records[image.name])
            if any(np.array_equal(values, other) for other in kept):
                copies.append(image.image_file)
            else:
                kept.append(values)
    return [Loss("duplicates", "left out", tuple(sorted(copies)))] if copies else []


def _compared(source: Source, record: Record) -> ValueMap:
    """Return the labels of a record, for comparison."""
    if record.tags is not None:
        return np.array(source.read_tags(record))
    return source.read_values(record) if record.label is None else np.array([source.read_class(record)])


def _kept_first(image: ImageFacts) -> tuple[int, str]:
    place = _KEPT_FIRST.index(image.split) if image.split in _KEPT_FIRST else len(_KEPT_FIRST)
    return place, image.image_file
