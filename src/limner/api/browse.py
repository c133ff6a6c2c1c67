"""`limner.browse()`: images with their labels on one sheet."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from limner.api.check import check
from limner.api.gallery import Gallery, gallery_of, save_picture
from limner.core.errors import ConfigError, DataError, describe, did_you_mean
from limner.core.progress import Track, silent
from limner.core.randomness import generator
from limner.core.sample import Record
from limner.drawing.colors import class_keys
from limner.drawing.display import RGBImage
from limner.drawing.grid import Row, sheet

By = Literal["random", "class", "split", "worst"]

PER_FINDING = 4
"""Images that one finding shows among the worst."""


@dataclass(frozen=True)
class Browsed:
    """What was drawn.

    Attributes:
        picture: (H, W, 3) uint8 RGB.
        images: The images on it, from left to right and top to bottom.
        path: The file it was written to, or None.
    """

    picture: RGBImage
    images: tuple[str, ...]
    path: Path | None


def browse(
    path: Path | str,
    *,
    out: Path | str | None = None,
    by: By = "random",
    images: int = 12,
    classes: Sequence[str] = (),
    split: str | None = None,
    seed: int = 0,
    palette: str = "own",
    side: int = 300,
    columns: int = 4,
    workers: int | None = None,
    track: Track = silent,
) -> Browsed:
    """Draw images with their labels on one sheet, with a legend.

    Args:
        path: The dataset folder.
        out: The PNG to write; None writes none.
        by: ``random`` images; a row for each ``class`` or ``split``; or the ``worst``, those that
            findings name.
        images: How many; with a row a class or split, in each row.
        classes: Only images that hold one of these.
        split: Only images of this split.
        seed: Of the draw: the same one shows the same images.
        palette: A name in `PALETTES`, or a file of names and colours.
        side: Pixels of the longer side of each picture.
        columns: Pictures beside each other.
        workers: Reading threads.
        track: Shows the progress.

    Raises:
        DataError: The folder cannot be read, or what its mask values mean is not settled.
        ConfigError: A class, split or palette is unknown.
    """
    gallery = gallery_of(check(path, workers=workers, track=track), palette=palette, side=side)
    chosen = _chosen(gallery, by, images, classes, split, seed)
    rows, shown = [], []
    for heading, members in chosen:
        drawn = [gallery.panel(record, title) for record, title in members]
        rows.append(Row(heading, tuple(panel for panel, _ in drawn)))
        shown += [labels for _, labels in drawn if labels is not None]
    legend = class_keys(gallery.table, *shown)
    columns = max(1, min(columns, max(len(row.panels) for row in rows)))
    picture = sheet(rows, columns=columns, side=side, title=str(gallery.checked.source.root), legend=legend)
    names = tuple(record.name for _, members in chosen for record, _ in members)
    return Browsed(picture, names, save_picture(picture, out))


Members = list[tuple[Record, str]]
"""Records and what stands above each; an empty text takes the record's name."""


def _chosen(
    gallery: Gallery, by: By, images: int, classes: Sequence[str], split: str | None, seed: int
) -> list[tuple[str, Members]]:
    """Return the rows: heading and members."""
    records = _wanted(gallery, classes, split)

    def drawn(rows: Sequence[Record], purpose: str) -> Members:
        order = generator(seed, f"browse {purpose}").permutation(len(rows))
        return [(rows[i], "") for i in sorted(order[:images])]

    if by == "worst":
        rows = _worst(gallery, records, images)
    elif by == "class":
        holding = gallery.holders
        # Where objects are told apart, what lies around them is no class that one looks for.
        around = gallery.table.background_index if gallery.checked.objects else None
        names = [
            name
            for index, name in enumerate(gallery.table.names)
            if (name in classes if classes else index != around)
        ]
        rows = [(n, drawn([r for r in records if n in holding.get(r.name, ())], n)) for n in names]
    elif by == "split":
        split_of = {image.name: image.split for image in gallery.checked.facts.images}
        order = sorted({split_of.get(r.name) or "none" for r in records}, key=_split_order)
        rows = [(s, drawn([r for r in records if (split_of.get(r.name) or "none") == s], s)) for s in order]
    else:
        rows = [("", drawn(records, "images"))]
    rows = [(heading, members) for heading, members in rows if members]
    if not rows:
        raise DataError(
            describe(
                "There is no image to show",
                where=gallery.checked.source.root,
                found="no finding names an image" if by == "worst" else "no image of this class and split",
                fix="Nothing stands out; look at any of them with `--by random`." if by == "worst" else "",
            )
        )
    return rows


def _split_order(name: str) -> tuple[int, str]:
    return {"train": 0, "val": 1, "test": 2}.get(name, 3), name


def _wanted(gallery: Gallery, classes: Sequence[str], split: str | None) -> list[Record]:
    names = gallery.table.names
    for name in classes:
        if name not in names:
            raise ConfigError(
                f"There is no class {name!r}{did_you_mean(name, names)}. Known: {', '.join(names)}."
            )
    split_of = {image.name: image.split for image in gallery.checked.facts.images}
    splits = {s for s in split_of.values() if s}
    if split is not None and split not in splits:
        raise ConfigError(f"There is no split {split!r}. Known: {', '.join(sorted(splits)) or 'none'}.")
    holding = gallery.holders if classes else {}
    return [
        record
        for record in gallery.dataset.records
        if (split is None or split_of.get(record.name) == split)
        and (not classes or holding.get(record.name, set()) & {*classes})
    ]


def _worst(gallery: Gallery, records: Sequence[Record], images: int) -> list[tuple[str, Members]]:
    """Return a row for each finding that names files, errors first."""
    wanted = {record.name for record in records}
    by_file = {file: r for file, r in gallery.by_file.items() if r.name in wanted}
    rows: list[tuple[str, Members]] = []
    left = images
    for finding in gallery.checked.findings:
        named = list(dict.fromkeys(by_file[file] for file in finding.files if file in by_file))
        members = [(record, "") for record in named[: min(PER_FINDING, left)]]
        if members:
            heading = f"{finding.severity.value} {finding.code} ({finding.count}): {finding.found}"
            rows.append((heading.replace("\n", " "), members))
            left -= len(members)
    return rows
