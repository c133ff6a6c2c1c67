"""The one table everybody should look at: mask value -> name -> trained as -> pixels -> images, per split."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from limner.checks.facts import DatasetFacts, ImageFacts, in_order
from limner.core.labels import RGB, LabelTable

MOST_ABSENT = 10
"""Classes in no mask that a table shows: more of them, as of COCO's 80 in a few images, would hide others."""


@dataclass(frozen=True)
class SplitCount:
    """How much of one class there is in one split.

    Attributes:
        pixels: Pixels of the class.
        share: Their part of all pixels of the split, ignored ones included; 0 to 1.
        images: Masks that hold the class.
    """

    pixels: int
    share: float
    images: int


@dataclass(frozen=True)
class LabelRow:
    """One class, the ignored values together, or one value that no class covers.

    Attributes:
        values: The mask values found or named, as the files hold them.
        name: The class; ``ignored``; or empty for a value that no class covers.
        trained_as: 0..K-1, the table's `ignore_index` for ignored, None for a value that no class covers.
        color: RGB for drawing, or None.
        splits: Split -> counts; ``all`` where there are no splits.
    """

    values: tuple[int, ...]
    name: str
    trained_as: int | None
    color: RGB | None
    is_ignored: bool = False
    splits: dict[str, SplitCount] = field(default_factory=dict)

    @property
    def is_class(self) -> bool:
        """Whether it is a class, rather than what is ignored or unknown."""
        return self.trained_as is not None and not self.is_ignored

    @property
    def pixels(self) -> int:
        """Pixels over all splits."""
        return sum(count.pixels for count in self.splits.values())

    @property
    def images(self) -> int:
        """Masks over all splits that hold it."""
        return sum(count.images for count in self.splits.values())

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON-ready values."""
        splits = {name: vars(count) for name, count in self.splits.items()}
        role = "ignored" if self.is_ignored else self.trained_as
        color = list(self.color) if self.color else None
        return {
            "values": list(self.values),
            "name": self.name,
            "trained_as": role,
            "color": color,
            "splits": splits,
        }


def label_rows(facts: DatasetFacts, labels: LabelTable) -> tuple[LabelRow, ...]:
    """Return one row a class in trained order, then the ignored values, then unknown values one by one.

    Works before a proposal is accepted too: masks read as they are on disk are counted as the table's
    threshold would translate them.
    """
    groups = _by_split(facts.labelled)
    tallies = {split: _tally(images, labels) for split, images in groups.items()}
    found: dict[object, set[int]] = {}
    for image in facts.labelled:
        for value in image.value_counts:
            found.setdefault(_role(value, image, labels), set()).add(value)
    rows = [
        LabelRow(tuple(sorted(found.get(i, set()) or c.values)), c.name, i, c.color)
        for i, c in enumerate(labels.classes)
    ]
    if labels.ignored_values:
        index = labels.ignore_index
        named = found.get(index, set()) or labels.ignored_values
        rows.append(LabelRow(tuple(sorted(named)), "ignored", index, None, is_ignored=True))
    rows += [
        LabelRow((v,), "", None, None) for role, vs in found.items() if isinstance(role, str) for v in vs
    ]
    return tuple(_counted(row, tallies) for row in rows)


def _counted(row: LabelRow, tallies: dict[str, "tuple[Counter[object], Counter[object]]"]) -> LabelRow:
    role: object = row.trained_as if row.trained_as is not None else str(row.values[0])
    splits = {
        split: SplitCount(pixels[role], pixels[role] / max(1, sum(pixels.values())), images[role])
        for split, (pixels, images) in tallies.items()
    }
    return replace(row, splits=splits)


def _tally(images: Iterable[ImageFacts], labels: LabelTable) -> "tuple[Counter[object], Counter[object]]":
    pixels, holders = Counter[object](), Counter[object]()
    for image in images:
        roles = roles_of(image, labels)
        pixels.update(roles)
        holders.update(roles.keys())
    return pixels, holders


def roles_of(image: ImageFacts, labels: LabelTable) -> "Counter[object]":
    """Return trained index (or the value as text where no class covers it) -> pixels of one mask."""
    roles = Counter[object]()
    for value, count in image.value_counts.items():
        roles[_role(value, image, labels)] += count
    return roles


def _role(value: int, image: ImageFacts, labels: LabelTable) -> object:
    """Return the trained index of a raw value, or the value as text where no class covers it."""
    threshold = labels.encoding.threshold
    if threshold is not None and image.label_kind != "threshold":
        value, raw = int(value > threshold), value
        return labels.trained_as.get(value, str(raw))
    return labels.trained_as.get(value, str(value))


def _by_split(images: Iterable[ImageFacts]) -> dict[str, list[ImageFacts]]:
    groups: dict[str, list[ImageFacts]] = {}
    for image in images:
        groups.setdefault(image.split or "all", []).append(image)
    return {split: groups[split] for split in in_order(groups)}
