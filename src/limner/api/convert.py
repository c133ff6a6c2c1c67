"""`limner.convert()`: a labelled folder in one format, written in another."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from limner.api.check import CheckResult, check
from limner.api.conversion_losses import Loss, broken, duplicates, repeated_objects
from limner.api.gallery import as_proposed
from limner.core.errors import DataError, UnknownNameError, describe
from limner.core.labels import LabelTable
from limner.core.progress import Track, silent
from limner.core.sample import Record
from limner.formats import WRITERS
from limner.formats.drawn import Drawn, Shape, runs_of_mask
from limner.formats.public.class_tables import renumbered
from limner.formats.shapes.object_problems import repeated
from limner.formats.shapes.object_source import BOXES
from limner.formats.shapes.object_traits import OBJECT_TRAITS, traits_of
from limner.formats.source import Source
from limner.formats.writers import Outgoing, Writer
from limner.images.masks import read_valid_region
from limner.images.read_image import image_header

MENDED = ("unreadable", "duplicates", "unknown-classes", "repeated")
"""Traits that nobody misses in a clean copy."""

NO_LOSS = ("defects",)
"""Traits that are said and counted, and that no format could hold."""


@dataclass(frozen=True)
class Converted:
    """What was written.

    Attributes:
        path: The new folder.
        format: Its format.
        num_images: Images in it.
        num_masks: Masks in it.
        losses: What could not be carried over.
    """

    path: Path
    format: str
    num_images: int
    num_masks: int
    losses: tuple[Loss, ...]


def convert(
    source: Path | str,
    target: Path | str,
    *,
    to: str,
    lossy: bool = False,
    mend: bool = False,
    workers: int | None = None,
    track: Track = silent,
) -> Converted:
    """Write a labelled folder in another format; the source is only read.

    Label maps are written as trained labels, 0 to K-1, and 255 (65535 beside more than 255 classes) where
    nothing is scored; objects as they were drawn, wherever the format has such shapes. Images are copied byte
    for byte; classes with their colours, and splits that the source lays down, go with them.

    Args:
        source: The dataset folder.
        target: A folder that is not there yet, or empty.
        to: A name in `WRITERS`.
        lossy: Convert although something cannot be carried over.
        mend: Take the proposals of `check` for settled, and leave out what cannot be read and exact copies,
            of pictures and of objects.
        workers: Reading threads.
        track: Shows the progress.

    Raises:
        DataError: The source cannot be read or has open questions, the target holds something, or the format
            cannot hold everything and `lossy` is False; nothing is written then.
        UnknownNameError: There is no such format.
    """
    if to not in WRITERS:
        raise UnknownNameError("format to write", to, WRITERS)
    root = _free(Path(target), Path(source))
    checked = check(source, workers=workers, track=track)
    _require_images(checked)
    opened, table = _settled(checked, mend=mend)
    writer = WRITERS[to]()
    _require_kind(checked, writer)
    _refuse_boxes(opened, writer)
    _refuse_many_classes(table, writer)
    losses = [*_losses(checked, opened, writer, table), *broken(checked)]
    losses += [*duplicates(checked), *repeated_objects(checked)] if mend else []
    serious = [loss for loss in losses if loss.trait not in (*NO_LOSS, *(MENDED if mend else ()))]
    if serious and not lossy:
        raise _would_lose(serious, to)
    left_out = {file for loss in losses if loss.becomes == "left out" for file in loss.files}
    records = [r for r in opened.records if _relative(r, opened) not in left_out]
    outgoing = _outgoing(opened, records, table, _laid_out(checked), objects=writer.takes_objects, once=mend)
    try:
        root.mkdir(parents=True, exist_ok=True)
        writer.write(root, track(outgoing, "writing images", len(records)), renumbered(table))
    except OSError as error:
        raise DataError(
            describe("The folder cannot be written", where=root, found=error.strerror or str(error))
        ) from None
    return Converted(root, to, len(records), sum(bool(r.labels) for r in records), tuple(losses))


def _require_images(checked: CheckResult) -> None:
    if checked.source.records:
        return
    are_gone = any(f.code in ("annotation-without-image", "image-missing") for f in checked.findings)
    raise DataError(
        describe(
            "There is no image to convert",
            where=checked.source.root,
            found="label files whose images are not there" if are_gone else "no labelled image",
            fix="Run `limner check`, which names what is missing.",
        )
    )


def _require_kind(checked: CheckResult, writer: Writer) -> None:
    found = "classes" if checked.facts.are_classes else "masks"
    if writer.holds == found:
        return
    fitting = ", ".join(name for name, other in WRITERS.items() if other.holds == found)
    raise DataError(
        describe(
            f"The format {writer.name} holds no {found}",
            where=checked.source.root,
            found=f"{checked.source.name}: {checked.source.title}",
            expected=f"one of {fitting}",
            fix="Name one of these with --to.",
        )
    )


def _free(target: Path, source: Path) -> Path:
    inside = target.resolve().is_relative_to(source.resolve())
    if not inside and (not target.exists() or (target.is_dir() and not any(target.iterdir()))):
        return target
    raise DataError(
        describe(
            "The converted data needs a folder of its own",
            where=target,
            found="a folder inside the source" if inside else "something is there already",
            expected="a folder that does not exist yet, or an empty one",
            fix="Name another folder; nothing is overwritten.",
        )
    )


def _settled(checked: CheckResult, *, mend: bool) -> tuple[Source, LabelTable]:
    """Return the source and its classes, as proposed where that is wanted."""
    if checked.labels is not None:
        return checked.source, checked.labels
    if mend and checked.proposed_labels is not None:
        return as_proposed(checked), checked.proposed_labels
    raise DataError(
        describe(
            "What the mask values mean is not settled, so they cannot be converted",
            where=checked.source.root,
            found=checked.errors[0].found if checked.errors else "no mask",
            fix="Run `limner check`, then accept its proposal with --accept (or here with --mend)."
            if checked.proposal
            else "Run `limner check`, which says how to settle it.",
        )
    )


def _refuse_boxes(source: Source, writer: Writer) -> None:
    """Refuse to make masks out of boxes, which `--lossy` does not mean either."""
    if source.tasks != BOXES or (writer.takes_objects and "boxes" not in writer.cannot_hold):
        return
    able = [n for n, w in WRITERS.items() if w.takes_objects and "boxes" not in w.cannot_hold]
    raise DataError(
        describe(
            f"The format {writer.name} holds masks, and the labels are boxes",
            where=source.root,
            expected="polygons or masks",
            fix=f"Write boxes as one of: {', '.join(able)}.",
        )
    )


def _refuse_many_classes(table: LabelTable, writer: Writer) -> None:
    if table.num_classes <= writer.most_classes:
        return
    able = [n for n, w in WRITERS.items() if w.holds == writer.holds and w.most_classes >= table.num_classes]
    raise DataError(
        describe(
            f"The format {writer.name} cannot tell so many classes apart",
            found=f"{table.num_classes} classes",
            expected=f"{writer.most_classes} or fewer",
            fix=f"Write one of: {', '.join(able)}.",
        )
    )


def _losses(checked: CheckResult, source: Source, writer: Writer, table: LabelTable) -> list[Loss]:
    facts = {image.name: image for image in checked.facts.images}

    def files(records: Sequence[Record]) -> tuple[str, ...]:
        return tuple(_relative(record, source) for record in records)

    def is_broken(record: Record) -> bool:
        image = facts[record.name]
        return image.image_error is not None or (image.is_labelled and not image.is_usable)

    sound = [record for record in source.records if not is_broken(record)]
    having = {
        "instances": files([r for r in sound if r.labels and _tells_objects(source)]),
        "transcriptions": files([r for r in sound if r.labels and "text-detection" in source.tasks]),
        "field-of-view": files([r for r in sound if r.labels and r.valid_region is not None]),
        "unlabelled": files([r for r in sound if not r.labels]),
        "unreadable": files([r for r in source.records if is_broken(r)]),
    }
    if OBJECT_TRAITS & writer.cannot_hold.keys():
        traits = {
            r.name: traits_of(*_objects(source, r, table), ignored=table.ignore_index)
            for r in sound
            if r.labels
        }
        having |= {
            trait: files([r for r in sound if trait in traits.get(r.name, ())]) for trait in OBJECT_TRAITS
        }
    return [
        Loss(trait, becomes, having[trait]) for trait, becomes in writer.cannot_hold.items() if having[trait]
    ]


def _objects(source: Source, record: Record, table: LabelTable) -> tuple[list[Drawn], tuple[int, int]]:
    """Return the objects with trained labels, and the size; without objects, each class of an image is one.

    Where there is no background, what no object covers is ignored, so that ignored regions need not be drawn.
    """
    if not _tells_objects(source):
        labels = table.encode(source.read_values(record), where=str(record.labels[0]))
        drawn = [
            Drawn(int(label), (Shape("runs", runs_of_mask(labels == label)),)) for label in np.unique(labels)
        ]
    else:
        trained = table.trained_as
        drawn = [
            replace(one, value=trained[one.value])
            for one in source.read_objects(record)
            if one.value in trained
        ]
    background = table.background_index
    unsaid = {table.ignore_index if background is None else background}
    return [one for one in drawn if one.value not in unsaid], _size(record)


def _tells_objects(source: Source) -> bool:
    """Tell whether objects, or words, are told apart."""
    return not {"detection", "text-detection"}.isdisjoint(source.tasks)


def _would_lose(losses: Sequence[Loss], to: str) -> DataError:
    return DataError(
        describe(
            f"The format {to} cannot hold everything",
            found="; ".join(map(str, losses)),
            fix="Add --lossy to convert the rest; nothing was written."
            if not {loss.trait for loss in losses} <= {*MENDED}
            else "Add --mend for a clean copy without them; nothing was written.",
        )
    )


def _laid_out(checked: CheckResult) -> Mapping[str, str]:
    """Return image -> split where the source itself says it; a draw is left to whoever trains."""
    if not any(record.split for record in checked.source.records):
        return {}
    return {record.name: split for split, records in checked.splits.items() for record in records}


def _outgoing(
    source: Source,
    records: Sequence[Record],
    table: LabelTable,
    splits: Mapping[str, str],
    *,
    objects: bool,
    once: bool,
) -> Iterator[Outgoing]:
    for record, stem in zip(records, _stems(records), strict=True):
        split = splits.get(record.name, record.split)
        if objects:
            drawn, size = _objects(source, record, table) if record.labels else (None, _size(record))
            if drawn and once:
                copies = {id(copy) for _, copy in repeated(drawn, size)}
                drawn = [one for one in drawn if id(one) not in copies]
            yield Outgoing(stem, record.image, split, None, objects=drawn, size=size)
            continue
        labels = region = label = None
        if record.label is not None:
            label = table.trained_as[source.read_class(record)]
        elif record.labels:
            values = source.read_values(record)
            labels = table.encode(values, where=str(record.labels[0]))
            if record.valid_region is not None:
                region = read_valid_region(record.valid_region, labels.shape)
        yield Outgoing(
            stem, record.image, split, None if labels is None else np.asarray(labels), region, label=label
        )


def _size(record: Record) -> tuple[int, int]:
    return image_header(record.image).shape


def _stems(records: Sequence[Record]) -> list[str]:
    """Return a name for each image, once, capitals or not; folders go into it where nothing else tells apart.

    The names of images with classes hold the suffix: their folders come from many sources.
    """
    names = [r.name if r.label is None else r.name.removesuffix(r.image.suffix) for r in records]
    bare = [re.split(r"[\\/]+", name)[-1] for name in names]
    if len({name.casefold() for name in bare}) == len(bare):
        return bare
    taken: set[str] = set()
    return [_untaken(re.sub(r"[\\/]+", "_", name), taken) for name in names]


def _untaken(name: str, taken: set[str]) -> str:
    """Return the name, numbered where it is taken."""
    stem, count = name, 1
    while stem.casefold() in taken:
        count += 1
        stem = f"{name}_{count}"
    taken.add(stem.casefold())
    return stem


def _relative(record: Record, source: Source) -> str:
    return record.image.relative_to(source.root).as_posix()
