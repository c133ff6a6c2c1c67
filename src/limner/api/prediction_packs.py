"""Predictions of a part of the images in one file: an archive for WebDataset, or a table of Parquet.

Both hold for each image what `limner serve` answers about it, and its files. A file is called after its
folder and suffix: ``masks/cell_1.png`` is the member ``cell_1.masks.png`` of an archive, and in column
``masks.png`` of a table.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from limner.core.errors import ConfigError, DataError, describe, did_you_mean
from limner.formats.archives.tar_samples import key_of
from limner.images.embedded_images import image_file, suffix_of
from limner.images.file_names import IMAGE_SUFFIXES
from limner.storage.containers import TABLE, TAR
from limner.storage.whole_files import open_whole
from limner.storage.written_tables import ColumnKind, open_table, require_tables
from limner.storage.written_tars import open_tar


@dataclass(frozen=True)
class PackedImage:
    """An image and its results.

    Attributes:
        path: The image.
        name: Name of its results, unique, with ``/`` between folders.
        found: Its prediction as JSON-ready values; empty if it could not be predicted.
        files: Kind -> content of a file, see `kind_of`.
        problem: Why it could not be predicted; empty if it was.
    """

    path: Path
    name: str
    found: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    problem: str = ""


Add = Callable[[PackedImage], None]
"""Appends an image to a file.

Raises:
    DataError: The image cannot be read again; nothing was appended.
    WriteError: The disk is full, read-only or failing.
"""


@dataclass(frozen=True)
class Pack:
    """A kind of file for many predictions.

    Attributes:
        suffix: Suffix of the files.
        open: Begins a file with the kinds of files that images have, and yields what appends an image.
        require: Refuses if a library is missing.
    """

    suffix: str
    open: Callable[[Path, Sequence[str]], AbstractContextManager[Add]]
    require: Callable[[], None] = lambda: None


def pack_named(name: str) -> Pack:
    """Return a kind of file by its name.

    Raises:
        ConfigError: There is none of that name.
        MissingPartError: A library for it is not installed.
    """
    if name not in PACKS:
        raise ConfigError(
            f"--pack is one of {', '.join(PACKS)}; found {name!r}{did_you_mean(name, PACKS)}. "
            "Omit it for one file an image."
        )
    pack = PACKS[name]
    pack.require()
    return pack


def kind_of(file: str, name: str) -> str:
    """Return the kind of a file of results, such as ``masks.png``.

    Args:
        file: The file, relative to the folder of results.
        name: Name of the results of its image.
    """
    folder, _, rest = file.partition("/")
    return f"{folder}{rest[len(name) :] if rest.startswith(name) else PurePosixPath(rest).suffix}"


@contextmanager
def _open_archive(path: Path, kinds: Sequence[str]) -> Iterator[Add]:
    """Begin an archive with a sample for each predicted image: the image, its prediction, and its files."""
    with open_whole(path) as file, open_tar(file) as add_member:

        def add(image: PackedImage) -> None:
            if image.problem:
                return
            content = _file_of(image.path)
            key = key_of(image.name)
            suffix = image.path.suffix.lower()
            add_member(f"{key}{suffix if suffix in IMAGE_SUFFIXES else suffix_of(content)}", content)
            add_member(f"{key}.json", json.dumps({"image": str(image.path), **image.found}).encode())
            for kind, data in image.files.items():
                add_member(f"{key}.{kind}", data)

        yield add


def _file_of(path: Path) -> bytes:
    """Return the content of an image's file.

    Raises:
        DataError: It cannot be read any longer.
    """
    try:
        return image_file(path)[1]
    except OSError as error:
        raise DataError(
            describe("The image cannot be read again", where=path, found=error.strerror or str(error))
        ) from None


_CLASS: Mapping[str, ColumnKind] = {"index": "count", "name": "text"}
_BOX: Mapping[str, ColumnKind] = {"score": "number", "box_xyxy": ["number"]}
_MASK: Mapping[str, ColumnKind] = {"pixels": "count", "mask": {"size": ["count"], "counts": "text"}}

COLUMNS: Mapping[str, ColumnKind] = {
    "image": "text",
    "name": "text",
    "problem": "text",
    "size": ["count"],
    "classes": [{**_CLASS, **_MASK}],
    "objects": [{**_CLASS, **_BOX, **_MASK, "is_thing": "flag"}],
    "words": [{"polygon": [["number"]], **_BOX}],
    "probabilities": [{**_CLASS, "probability": "number", "is_predicted": "flag"}],
}
"""Columns of every table, before those of files; those that a task does not have are empty."""


@contextmanager
def _open_table(path: Path, kinds: Sequence[str]) -> Iterator[Add]:
    """Begin a table with a row for each image."""
    columns: dict[str, ColumnKind] = {**COLUMNS, **dict.fromkeys(kinds, "bytes")}
    with open_table(path, columns) as table:

        def add(image: PackedImage) -> None:
            other = image.found.keys() - COLUMNS.keys()
            if other:
                raise ConfigError(
                    f"A table has no column for {', '.join(sorted(other))} of this task. Use --pack tar."
                )
            named = {"image": str(image.path), "name": image.name, "problem": image.problem or None}
            table.add({**named, **image.found, **image.files})

        yield add


PACKS: Mapping[str, Pack] = {
    "tar": Pack(TAR, _open_archive),
    "parquet": Pack(TABLE, _open_table, require_tables),
}
"""Name on the command line -> kind of file."""
