"""Splits given by list files (one image name per line) or folders."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from limner.core.dataset_file import DatasetFile, SplitLists
from limner.core.errors import DataError, describe
from limner.core.finding import MOST_FILES, Finding, Severity
from limner.core.sample import Record
from limner.formats.file_tree import FileTree
from limner.formats.folder_words import split_of_folder, vocabulary

_LIST_SUFFIXES = frozenset({".txt", ".lst", ".csv"})
_NOISE = vocabulary("list lists set split splits images image files file names ids id filenames")


SplitPlaces = Mapping[str, str | tuple[str, ...]]
"""Split -> the list file or folder of its images, or several of them, relative to the dataset folder."""


def lists_beside(tree: FileTree, records: tuple[Record, ...]) -> dict[str, str]:
    """Return split -> list file in the dataset folder itself; none if folders give the splits already."""
    return {} if any(record.split for record in records) else lists_in(tree, PurePosixPath())


def lists_in(tree: FileTree, folder: PurePosixPath) -> dict[str, str]:
    """Return split -> list file in one folder, such as ``train.txt`` or ``val_list.csv``."""
    lists: dict[str, str] = {}
    for path in tree.others:
        if path.parent != folder or path.suffix.lower() not in _LIST_SUFFIXES:
            continue
        if split := split_of_list(path):
            lists.setdefault(split, path.as_posix())
    return lists if "train" in lists else {}


def split_of_list(path: PurePosixPath) -> str | None:
    """Return the split in a list file's name, such as ``val`` for ``val_list.csv``, or None."""
    words = [word for word in re.split(r"[\W_\d]+", path.stem.casefold()) if word and word not in _NOISE]
    return split_of_folder(words[0]) if len(words) == 1 else None


def apply_split_lists(
    records: tuple[Record, ...], root: Path, settings: DatasetFile, lists: SplitPlaces
) -> tuple[tuple[Record, ...], list[Finding]]:
    """Set the records' splits from `dataset.yaml`, or from list files if it has no `splits`.

    Args:
        records: The records, with the splits from their folders.
        root: The dataset folder.
        settings: Its `splits` take precedence.
        lists: The splits from list files or the format's own files.

    Returns:
        The records, with split None for those in no list, and the findings.

    Raises:
        DataError: A list file is missing, names no image, or two lists name the same image.
    """
    spelled = isinstance(settings.splits, SplitLists)
    if isinstance(settings.splits, SplitLists):
        named = settings.splits.model_dump(exclude_none=True)
        lists = {split: str(named[split]) for split in ("train", "val", "test") if split in named}
    if not lists or (settings.splits is not None and not spelled):
        return records, []
    index = _index(records, root)
    list_of: dict[str, tuple[str, str]] = {}
    unknown: list[str] = []
    places = [
        (split, value)
        for split, values in lists.items()
        for value in ([values] if isinstance(values, str) else values)
    ]
    for split, value in places:
        members, missing = _members(root, value, index)
        unknown += [f"{value}: {name}" for name in missing]
        if not members and spelled:
            raise _names_nothing(root, value, split, missing)
        for name in members:
            if list_of.setdefault(name, (split, value))[0] != split:
                raise _overlap(name, list_of[name][1], value)
    if not list_of:
        return records, []
    left = [record for record in records if record.name not in list_of]
    split_of = {name: split for name, (split, _) in list_of.items()}
    return (
        tuple(replace(record, split=split_of.get(record.name)) for record in records),
        _findings([value for _, value in places], unknown, left, root),
    )


def _index(records: tuple[Record, ...], root: Path) -> dict[str, list[str]]:
    """Return every spelling of an image's name -> record names."""
    index: dict[str, list[str]] = {}
    for record in records:
        relative = PurePosixPath(record.image.relative_to(root).as_posix())
        ways = {record.name, relative.as_posix(), relative.with_suffix("").as_posix(), relative.name}
        ways.add(relative.stem)
        for way in ways:
            index.setdefault(way, []).append(record.name)
    return index


def _members(root: Path, value: str, index: dict[str, list[str]]) -> tuple[list[str], list[str]]:
    place = root / value
    if os.path.isdir(place):  # noqa: PTH112 - Path.is_dir raises an error for names that are too long
        prefix = PurePosixPath(value).as_posix().rstrip("/") + "/"
        inside = {names[0] for way, names in index.items() if way.startswith(prefix) and len(names) == 1}
        return sorted(inside), []
    try:
        lines = place.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise DataError(
            describe(
                "A split list is missing",
                where=place,
                expected="a text file with one image name a line, or a folder",
                fix="Correct `splits` in dataset.yaml.",
            )
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(describe("A split list cannot be read", where=place, found=str(error))) from None
    members: list[str] = []
    missing: list[str] = []
    for line in (text.strip() for text in lines):
        if not line or line.startswith("#"):
            continue
        names = _look_up(line, index)
        members += names
        missing += [] if names else [line]
    return members, missing


def _look_up(line: str, index: dict[str, list[str]]) -> list[str]:
    """Find the image on a line: the whole line, or its first column (`image.png mask.png`)."""
    columns = line.replace(",", " ").split()
    for text in (line, *columns[:1]):
        path = PurePosixPath(text.replace("\\", "/").removeprefix("./"))
        for way in (path.as_posix(), path.name, path.stem):
            names = index.get(way, [])
            if len(names) == 1:
                return names
    return []


def _names_nothing(root: Path, value: str, split: str, missing: list[str]) -> DataError:
    return DataError(
        describe(
            f"The {split} split holds no image",
            where=root / value,
            found=f"names that belong to no image, such as {missing[0]!r}" if missing else "nothing",
            expected="image names as they are in the dataset folder, with or without suffix",
        )
    )


def _overlap(name: str, first: str, second: str) -> DataError:
    return DataError(
        describe(
            "An image is in two splits",
            where=name,
            found=f"it is in {first} and in {second}",
            expected="each image in one split: otherwise scores look better than they are",
            fix=f"Remove it from {first} or {second}.",
        )
    )


def _findings(lists: Sequence[str], unknown: list[str], left: list[Record], root: Path) -> list[Finding]:
    findings = []
    if unknown:
        findings.append(
            Finding(
                "split-names-unknown-image",
                Severity.WARNING,
                unknown[0],
                f"{len(unknown)} names in the split lists belong to no image.",
                "names of images in the dataset folder",
                "Add the images or remove the lines.",
                files=tuple(unknown[:MOST_FILES]),
                count=len(unknown),
            )
        )
    if left:
        findings.append(
            Finding(
                "image-in-no-split",
                Severity.NOTE,
                str(left[0].image.relative_to(root)),
                f"{len(left)} images are in none of {', '.join(lists)}; they are left out.",
                files=tuple(str(r.image.relative_to(root)) for r in left[:MOST_FILES]),
                count=len(left),
            )
        )
    return findings
