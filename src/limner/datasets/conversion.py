"""Conversion of a checked dataset: whether it is possible, and its images for the writer."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from limner.core.errors import DataError, describe
from limner.core.labels import LabelTable
from limner.core.sample import Record
from limner.datasets.checked import CheckResult, as_proposed
from limner.formats import WRITERS
from limner.formats.drawn import Drawn, Shape, runs_of_mask
from limner.formats.shapes.object_problems import repeated
from limner.formats.shapes.object_source import BOXES
from limner.formats.source import Source
from limner.formats.writers import Outgoing, Writer
from limner.images.masks import read_valid_region
from limner.images.read_image import image_header
from limner.storage.filled_folder import is_of_a_kill
from limner.storage.unfinished import read_unfinished, refuse_unfinished


@dataclass(frozen=True)
class Conversion:
    """A dataset to write in another format.

    Attributes:
        checked: Results of the checks.
        source: The opened dataset, with accepted proposals if `clean`.
        table: Its classes.
        writer: Writer of the target format.
        clean: Whether proposals are accepted, and repeated annotations are written once.
        volume_suffix: Suffix of written volumes; empty keeps that of each.
    """

    checked: CheckResult
    source: Source
    table: LabelTable
    writer: Writer
    clean: bool
    volume_suffix: str = ""

    @property
    def tells_objects(self) -> bool:
        """Whether labels distinguish individual objects or words."""
        return not {"detection", "text-detection"}.isdisjoint(self.source.tasks)

    def file_of(self, record: Record) -> str:
        """Return an image's file, relative to the dataset folder."""
        return record.image.relative_to(self.source.root).as_posix()

    def objects_of(self, record: Record) -> tuple[list[Drawn], tuple[int, int]]:
        """Return the objects with trained labels, and the image size; without objects, each class is one.

        Background is omitted. Without a background class, pixels outside objects are ignored, so ignored
        regions are omitted instead.
        """
        drawn = self._drawn(record) if self.tells_objects else self._drawn_classes(record)
        background = self.table.background_index
        omitted = {self.table.ignore_index if background is None else background}
        return [one for one in drawn if one.value not in omitted], _size(record)

    def outgoing(self, record: Record, stem: str) -> Outgoing:
        """Return an image with its labels for the writer, under a name of `unique_stems`."""
        read = self._with_objects if self.writer.takes_objects else self._with_labels
        return read(record, stem, self.split_of(record))

    def split_of(self, record: Record) -> str | None:
        """Return the split of an image, if the source defines splits; random ones are not written."""
        return self._splits.get(record.name, record.split)

    @cached_property
    def _splits(self) -> Mapping[str, str]:
        """Image -> split."""
        if not any(record.split for record in self.checked.source.records):
            return {}
        return {record.name: split for split, records in self.checked.splits.items() for record in records}

    def _drawn(self, record: Record) -> list[Drawn]:
        trained = self.table.trained_as
        return [
            replace(one, value=trained[one.value])
            for one in self.source.read_objects(record)
            if one.value in trained
        ]

    def _drawn_classes(self, record: Record) -> list[Drawn]:
        labels = self.table.encode(self.source.read_values(record), where=str(record.labels[0]))
        return [
            Drawn(int(label), (Shape("runs", runs_of_mask(labels == label)),)) for label in np.unique(labels)
        ]

    def _with_objects(self, record: Record, stem: str, split: str | None) -> Outgoing:
        drawn, size = self.objects_of(record) if record.labels else (None, _size(record))
        if drawn and self.clean:
            copies = {id(copy) for _, copy in repeated(drawn, size)}
            drawn = [one for one in drawn if id(one) not in copies]
        return Outgoing(stem, record.image, split, None, objects=drawn, size=size)

    def _with_labels(self, record: Record, stem: str, split: str | None) -> Outgoing:
        if record.label is not None:
            label = self.table.trained_as[self.source.read_class(record)]
            return Outgoing(stem, record.image, split, None, label=label)
        if record.tags is not None:
            tags = tuple(self.table.trained_as[value] for value in self.source.read_tags(record))
            return Outgoing(stem, record.image, split, None, tags=tags)
        if not record.labels:
            more, suffix = record.more_images, self.volume_suffix
            return Outgoing(stem, record.image, split, None, more_images=more, volume_suffix=suffix)
        labels = np.asarray(self.table.encode(self.source.read_values(record), where=str(record.labels[0])))
        region = None
        if record.valid_region is not None:
            region = read_valid_region(record.valid_region, labels.shape)
        more, suffix = record.more_images, self.volume_suffix
        return Outgoing(stem, record.image, split, labels, region, more_images=more, volume_suffix=suffix)


def plan_conversion(
    checked: CheckResult, writer: Writer, *, clean: bool, volume_suffix: str = ""
) -> Conversion:
    """Check that a conversion is possible, and prepare it.

    Args:
        checked: Results of the checks.
        writer: Writer of the target format.
        clean: Whether to accept proposals, and to write repeated annotations once.
        volume_suffix: Suffix of written volumes.

    Raises:
        DataError: There are no images, the meaning of mask values is unclear, or the format does not support
            this kind of labels.
    """
    _require_images(checked)
    source, table = _settled(checked, clean=clean)
    _require_kind(checked, writer)
    _require_dimensions(checked, writer)
    _refuse_boxes(source, writer)
    _refuse_many_classes(table, writer)
    return Conversion(checked, source, table, writer, clean, volume_suffix)


def free_folder(target: Path, source: Path | None = None, *, resume: bool) -> Path:
    """Return the folder of a new dataset, after checking that it is empty, does not exist, or is resumed.

    Raises:
        DataError: It is not empty, not to be resumed, or inside the source.
    """
    inside = source is not None and target.resolve().is_relative_to(source.resolve())
    if not inside and read_unfinished(target) is not None:
        if not resume:
            refuse_unfinished(target)
        return target
    files = (path for path in target.rglob("*") if path.is_symlink() or not path.is_dir())
    is_free = not target.exists() or (target.is_dir() and all(map(is_of_a_kill, files)))
    if not inside and is_free:
        return target
    raise DataError(
        describe(
            "The new dataset needs a folder of its own",
            where=target,
            found="a folder inside the source" if inside else "a file, or a folder that is not empty",
            expected="a folder that does not exist yet, or an empty one",
            fix="Choose another folder; nothing was overwritten.",
        )
    )


def _require_images(checked: CheckResult) -> None:
    if checked.source.records:
        return
    are_gone = any(f.code in ("annotation-without-image", "image-missing") for f in checked.findings)
    raise DataError(
        describe(
            "There is no image to convert",
            where=checked.source.root,
            found="label files whose images are missing" if are_gone else "no labelled image",
            fix="Run `limner check`, which lists what is missing.",
        )
    )


def _require_kind(checked: CheckResult, writer: Writer) -> None:
    found = "classes" if checked.facts.are_classes else "masks"
    found = "tags" if any(record.tags is not None for record in checked.source.records) else found
    if writer.holds == found:
        return
    fitting = ", ".join(name for name, other in WRITERS.items() if other.holds == found)
    raise DataError(
        describe(
            f"The format {writer.name} cannot store {found}",
            where=checked.source.root,
            found=f"{checked.source.name}: {checked.source.title}",
            expected=f"one of {fitting}",
            fix="Choose one of these with --to.",
        )
    )


def _require_dimensions(checked: CheckResult, writer: Writer) -> None:
    """Refuse volumes for formats of images, and images for formats of volumes."""
    are_volumes = bool(checked.facts.volumes)
    if writer.volumes == "also" or are_volumes == (writer.volumes == "only"):
        return
    fitting = ("also", "only" if are_volumes else "never")
    raise DataError(
        describe(
            f"The format {writer.name} stores no {'volumes' if are_volumes else 'images'}",
            where=checked.source.root,
            found=f"{checked.source.name}: {checked.source.title}",
            expected=f"one of {', '.join(n for n, other in WRITERS.items() if other.volumes in fitting)}",
            fix="Choose one of these with --to.",
        )
    )


def _settled(checked: CheckResult, *, clean: bool) -> tuple[Source, LabelTable]:
    """Return the source and its classes; with `clean`, as proposed."""
    if checked.labels is not None:
        return checked.source, checked.labels
    if clean and checked.proposed_labels is not None:
        return as_proposed(checked), checked.proposed_labels
    raise DataError(
        describe(
            "The meaning of the mask values is unclear, so they cannot be converted",
            where=checked.source.root,
            found=checked.errors[0].found if checked.errors else "no mask",
            fix="Run `limner check`, then accept its proposal with --accept (or here with --mend)."
            if checked.proposal
            else "Run `limner check`, which says how to define it.",
        )
    )


def _refuse_boxes(source: Source, writer: Writer) -> None:
    """Reject conversion of boxes to masks, even with `--lossy`."""
    if source.tasks != BOXES or (writer.takes_objects and "boxes" not in writer.cannot_hold):
        return
    able = [n for n, w in WRITERS.items() if w.takes_objects and "boxes" not in w.cannot_hold]
    raise DataError(
        describe(
            f"The format {writer.name} stores masks, but the labels are boxes",
            where=source.root,
            expected="polygons or masks",
            fix=f"Choose a format that stores boxes: {', '.join(able)}.",
        )
    )


def _refuse_many_classes(table: LabelTable, writer: Writer) -> None:
    if table.num_classes <= writer.most_classes:
        return
    able = [n for n, w in WRITERS.items() if w.holds == writer.holds and w.most_classes >= table.num_classes]
    raise DataError(
        describe(
            f"The format {writer.name} cannot store this number of classes",
            found=f"{table.num_classes} classes",
            expected=f"{writer.most_classes} or fewer",
            fix=f"Choose one of: {', '.join(able)}.",
        )
    )


def _size(record: Record) -> tuple[int, int]:
    height, width = image_header(record.image).shape
    return height, width


def unique_stems(records: Sequence[Record]) -> list[str]:
    """Return a unique (case-insensitive) name for each image; includes folders if necessary.

    The suffix is removed from the names of images with classes, which include it.
    """
    names = [
        r.name if r.label is None and r.tags is None else r.name.removesuffix(r.image.suffix) for r in records
    ]
    bare = [re.split(r"[\\/]+", name)[-1] for name in names]
    if len({name.casefold() for name in bare}) == len(bare):
        return bare
    taken: set[str] = set()
    return [_untaken(re.sub(r"[\\/]+", "_", name), taken) for name in names]


def _untaken(name: str, taken: set[str]) -> str:
    """Return the name, with a number if it is already used."""
    stem, count = name, 1
    while stem.casefold() in taken:
        count += 1
        stem = f"{name}_{count}"
    taken.add(stem.casefold())
    return stem
