"""Choosing the images of a contact sheet: random, by class, by split, or those with the worst findings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from limner.core.errors import ConfigError, DataError, describe, did_you_mean
from limner.core.randomness import generator
from limner.core.sample import Record
from limner.datasets.gallery import Gallery

By = Literal["random", "class", "split", "worst"]

PER_FINDING = 4
"""Maximum number of images per finding with ``worst``."""

ImageRow = tuple[str, list[Record]]
"""A heading and its images."""


@dataclass(frozen=True)
class ImageChoice:
    """Which images to show.

    Attributes:
        by: As in `browse`.
        images: Number of images; with rows by class or split, in each row.
        classes: Show only images that contain one of these.
        split: Show only images of this split.
        seed: Random seed.
    """

    by: By = "random"
    images: int = 12
    classes: Sequence[str] = ()
    split: str | None = None
    seed: int = 0

    def drawn(self, records: Sequence[Record], purpose: str) -> list[Record]:
        """Draw a random subset of the images, in their original order."""
        order = generator(self.seed, f"browse {purpose}").permutation(len(records))
        return [records[i] for i in sorted(order[: self.images])]


def chosen_images(gallery: Gallery, choice: ImageChoice) -> list[ImageRow]:
    """Return the rows of a sheet.

    Raises:
        ConfigError: A class or the split does not exist.
        DataError: There are no images to show.
    """
    choose = {"random": _at_random, "class": _by_class, "split": _by_split, "worst": _worst}[choice.by]
    rows = [row for row in choose(gallery, _wanted(gallery, choice), choice) if row[1]]
    if rows:
        return rows
    is_worst = choice.by == "worst"
    raise DataError(
        describe(
            "There is no image to show",
            where=gallery.checked.source.root,
            found="no finding concerns an image" if is_worst else "no image of this class and split",
            fix="Use `--by random` to see any images." if is_worst else "",
        )
    )


def _at_random(gallery: Gallery, records: Sequence[Record], choice: ImageChoice) -> list[ImageRow]:
    return [("", choice.drawn(records, "images"))]


def _by_class(gallery: Gallery, records: Sequence[Record], choice: ImageChoice) -> list[ImageRow]:
    holding, table = gallery.holders, gallery.table
    # With individual objects, a row for the background is not useful.
    around = table.background_index if gallery.checked.objects else None
    others = [name for index, name in enumerate(table.names) if index != around]
    names = [name for name in table.names if name in choice.classes] if choice.classes else others
    return [
        (name, choice.drawn([r for r in records if name in holding.get(r.name, ())], name)) for name in names
    ]


def _by_split(gallery: Gallery, records: Sequence[Record], choice: ImageChoice) -> list[ImageRow]:
    members: dict[str, list[Record]] = {}
    for record in records:
        members.setdefault(gallery.split_of.get(record.name) or "none", []).append(record)
    return [(name, choice.drawn(members[name], name)) for name in sorted(members, key=_split_order)]


def _split_order(name: str) -> tuple[int, str]:
    return {"train": 0, "val": 1, "test": 2}.get(name, 3), name


def _worst(gallery: Gallery, records: Sequence[Record], choice: ImageChoice) -> list[ImageRow]:
    """Return a row for each finding with files, errors first."""
    wanted = {record.name for record in records}
    by_file = {file: r for file, r in gallery.by_file.items() if r.name in wanted}
    rows: list[ImageRow] = []
    left = choice.images
    for finding in gallery.checked.findings:
        named = list(dict.fromkeys(by_file[file] for file in finding.files if file in by_file))
        members = named[: min(PER_FINDING, left)]
        if members:
            heading = f"{finding.severity.value} {finding.code} ({finding.count}): {finding.found}"
            rows.append((heading.replace("\n", " "), members))
            left -= len(members)
    return rows


def _wanted(gallery: Gallery, choice: ImageChoice) -> list[Record]:
    """Return the images of the requested classes and split."""
    names = gallery.table.names
    for name in choice.classes:
        if name not in names:
            raise ConfigError(
                f"There is no class {name!r}{did_you_mean(name, names)}. Known: {', '.join(names)}."
            )
    split, split_of = choice.split, gallery.split_of
    splits = {s for s in split_of.values() if s}
    if split is not None and split not in splits:
        raise ConfigError(f"There is no split {split!r}. Known: {', '.join(sorted(splits)) or 'none'}.")
    records = [r for r in gallery.dataset.records if split is None or split_of.get(r.name) == split]
    if not choice.classes:
        return records
    return [r for r in records if gallery.holders.get(r.name, set()) & {*choice.classes}]
