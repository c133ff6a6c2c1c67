"""What indexing a large folder gave, kept in the user's cache folder: the next time only dates are compared.

It is taken up where nothing can have changed: the same limner, the same settings, no folder with another date
(adding, removing and renaming change a folder's date), and no file but images with another size or date; a
file's dates are that of its content and that of its entry, which no copying tool can set. Images are looked
at only when they are read. Whatever is wrong with a kept index costs an indexing.
"""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np

from limner import __version__
from limner.core.dataset_file import DatasetFile
from limner.core.finding import Finding, Severity
from limner.core.sample import Record
from limner.formats.file_tree import FileTree
from limner.formats.source import Source
from limner.storage.cache import Cache

VERSION = 7
"""Raise it whenever a format finds other records, or keeps something else."""

MIN_FILES = 5000
"""Smaller folders are indexed in the time that looking for a kept index takes."""

SETTLED_NS = 2_000_000_000
"""A folder that changed just before it was listed may change again within the tick of its date."""

_META = "meta"

_FILES = Cache("index", suffix=".npz")

_Row = tuple[
    str,
    str,
    list[str],
    str | None,
    str | None,
    str | None,
    int | None,
    list[str],
    str | None,
    list[int] | None,
]
"""Name, image, labels, split, valid region, entry, label, more images, source of the split, tags."""


class _Kept(msgspec.Struct):
    """The part that is no array; paths are relative to the dataset folder."""

    version: list[str]
    settings: str
    folders: list[tuple[str, int]]
    files: list[tuple[str, int, int, int]]
    format: str
    own_settings: str
    records: list[_Row]
    findings: list[dict[str, Any]]


@dataclass(frozen=True)
class Dates:
    """The dates by which a change is noticed, taken before anything is read.

    Attributes:
        folders: Each folder and its time of change.
        files: Each file that is no image: its size, and when its content and its entry changed.
    """

    folders: tuple[tuple[str, int], ...]
    files: tuple[tuple[str, int, int, int], ...]

    @classmethod
    def of(cls, root: Path, tree: FileTree) -> "Dates | None":
        """Return the dates of a folder, or None where it is small, or one is too young to be relied on."""
        if len(tree.images) + len(tree.others) < MIN_FILES:
            return None
        with suppress(OSError):
            files = tuple(_dated(root, str(path)) for path in tree.others)
            youngest = max([date for _, date in tree.folder_dates] + [max(dates) for _, _, *dates in files])
            return cls(tree.folder_dates, files) if time.time_ns() - youngest > SETTLED_NS else None
        return None


def recall(root: Path, settings: DatasetFile, formats: Mapping[str, type[Source]]) -> Source | None:
    """Return the source as it was indexed before, or None where it was not or something has changed."""

    def read(file: BinaryIO) -> Source | None:
        with np.load(file, allow_pickle=False) as arrays:
            kept = msgspec.json.decode(arrays[_META].tobytes(), type=_Kept)
            if not _is_valid(kept, root, settings):
                return None
            state = {name: arrays[name] for name in arrays.files if name != _META}
        own = DatasetFile.model_validate_json(kept.own_settings)
        return formats[kept.format].restored(root, own, _records(root, kept), _findings(kept), state)

    return _FILES.load(root, read)


def keep(source: Source, settings: DatasetFile, dates: Dates) -> None:
    """Keep what indexing gave, if the format can; a cache folder that cannot be written to is passed over."""
    state = source.cache_state()
    prefix = f"{source.root}{os.sep}"
    paths = [path for record in source.records for path in record.files]
    if state is None or not all(str(path).startswith(prefix) for path in paths):
        return
    kept = _Kept(
        _versions(),
        _text(settings),
        list(dates.folders),
        list(dates.files),
        source.name,
        _text(source.settings),
        [_row(record, len(prefix)) for record in source.records],
        [finding.to_dict() for finding in source.findings],
    )
    arrays = {_META: np.frombuffer(msgspec.json.encode(kept), np.uint8), **state}
    _FILES.save(source.root, lambda file: np.savez(file, allow_pickle=False, **arrays))


def _is_valid(kept: _Kept, root: Path, settings: DatasetFile) -> bool:
    if kept.version != _versions() or kept.settings != _text(settings):
        return False
    return all(os.stat(root / name).st_mtime_ns == date for name, date in kept.folders) and all(  # noqa: PTH116
        _dated(root, file[0]) == file for file in kept.files
    )


def _dated(root: Path, name: str) -> tuple[str, int, int, int]:
    status = os.stat(f"{root}{os.sep}{name}")  # noqa: PTH116
    return name, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _row(record: Record, cut: int) -> _Row:
    region = None if record.valid_region is None else str(record.valid_region)[cut:]
    labels, more = ([str(path)[cut:] for path in paths] for paths in (record.labels, record.more_images))
    image, split = str(record.image)[cut:], record.split
    tags = None if record.tags is None else list(record.tags)
    own = record.entry, record.label, more, record.split_from, tags
    return record.name, image, labels, split, region, *own


def _records(root: Path, kept: _Kept) -> tuple[Record, ...]:
    shared: dict[str, Path] = {}  # one JSON may serve all images

    def under(name: str) -> Path:
        return shared[name] if name in shared else shared.setdefault(name, Path(f"{root}{os.sep}{name}"))

    return tuple(
        Record(
            name,
            under(image),
            tuple(map(under, labels)),
            split,
            None if region is None else under(region),
            entry,
            label,
            tuple(map(under, more)),
            split_from,
            None if tags is None else tuple(tags),
        )
        for name, image, labels, split, region, entry, label, more, split_from, tags in kept.records
    )


def _findings(kept: _Kept) -> tuple[Finding, ...]:
    return tuple(
        Finding(**{**row, "severity": Severity(row["severity"]), "files": tuple(row["files"])})
        for row in kept.findings
    )


def _versions() -> list[str]:
    return [__version__, str(VERSION)]


def _text(settings: DatasetFile) -> str:
    return settings.model_dump_json(exclude_unset=True)
