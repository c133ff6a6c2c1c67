"""What a conversion leaves behind beside what a format cannot hold: defects and copies, each counted."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from limner.api.check import CheckResult
from limner.checks.facts import ImageFacts
from limner.core.labels import ValueMap
from limner.core.sample import Record
from limner.formats.source import Source
from limner.formats.writers import TRAITS

_BROKEN = {
    "unknown-classes": ("category-unknown", "class-beyond-names"),
    "defects": (
        *("annotation-malformed", "annotation-empty", "annotation-image-unknown", "annotation-without-image"),
        *("polygon-too-short", "rle-wrong-length", "box-zero-size", "shape-unknown"),
    ),
}
"""Trait -> the findings of annotations that reading leaves out."""

_KEPT_FIRST = ("test", "val", "train")
"""Of equal pictures in two splits the one that measures is kept: its score was flattered by the other."""


@dataclass(frozen=True)
class Loss:
    """Something that the other format cannot hold.

    Attributes:
        trait: One of `TRAITS`.
        becomes: What happens to it.
        files: The images concerned, relative to the dataset folder; of annotations some places.
        count: How many annotations; None where images are counted.
    """

    trait: str
    becomes: str
    files: tuple[str, ...]
    count: int | None = None

    def __str__(self) -> str:
        """Say it in a line."""
        if self.count is None and len(self.files) == 1:
            where = self.files[0]
        else:
            number = f"{len(self.files)} images" if self.count is None else str(self.count)
            where = f"{number}, such as {self.files[0]}"
        return f"{TRAITS[self.trait]} ({where}): {self.becomes}"


def broken(checked: CheckResult) -> list[Loss]:
    """Return the annotations that were left out when they were read."""
    found = {trait: [f for f in checked.findings if f.code in codes] for trait, codes in _BROKEN.items()}
    return [
        Loss(trait, "are left out", tuple(f.where for f in findings), sum(f.cases or 0 for f in findings))
        for trait, findings in found.items()
        if findings
    ]


def repeated_objects(checked: CheckResult) -> list[Loss]:
    """Return what is written once though it is drawn twice."""
    found = [finding for finding in checked.findings if finding.code == "annotation-repeated"]
    return [Loss("repeated", "are written once", (f.where,), f.cases) for f in found]


def duplicates(checked: CheckResult) -> list[Loss]:
    """Return the copies of pictures; where their labels differ, nobody knows which is right: all stay."""
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
    """Return what says whether the labels of two copies are equal."""
    return source.read_values(record) if record.label is None else np.array([source.read_class(record)])


def _kept_first(image: ImageFacts) -> tuple[int, str]:
    place = _KEPT_FIRST.index(image.split) if image.split in _KEPT_FIRST else len(_KEPT_FIRST)
    return place, image.image_file
