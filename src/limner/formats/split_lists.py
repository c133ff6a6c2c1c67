"""Splits given by list files (one image name per line) or folders."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from limner.core.dataset_file import FILE_NAME, DatasetFile, SplitLists
from limner.core.errors import DataError, describe
from limner.core.finding import MOST_FILES, Finding
from limner.core.sample import Record
from limner.formats.file_tree import FileTree, list_files
from limner.formats.folder_words import split_of_folder, vocabulary
from limner.formats.format_codes import format_finding
from limner.formats.listed_names import LIST_SUFFIXES, ImageNames
from limner.storage.text_files import read_text

_LINES_TRIED = 20
_FOLDERS = vocabulary("split splits list lists imageset imagesets sets partition partitions folds")
_NOISE = vocabulary("list lists set split splits images image files file names ids id filenames")


SplitPlaces = Mapping[str, str | tuple[str, ...]]
"""Split -> the list file or folder of its images, or several of them, relative to the dataset folder."""


def lists_beside(tree: FileTree, records: tuple[Record, ...]) -> dict[str, str]:
    """Return split -> list file, wherever people put them; none if folders give the splits already."""
    return {} if any(record.split for record in records) else lists_below(tree, PurePosixPath())


def lists_below(tree: FileTree, place: PurePosixPath) -> dict[str, str]:
    """Return split -> list file in a folder, or in one inside it such as ``splits`` or ``ImageSets/Main``.

    The first of these folders with a list of training images counts; ``train/images.txt`` beside
    ``val/images.txt`` is the last resort.
    """
    folders = {path.parent for path in tree.others if path.is_relative_to(place)}
    for folder in sorted(folders, key=lambda f: (len(f.parts), "segmentation" not in f.name.casefold(), f)):
        if _may_hold_lists(folder.relative_to(place)) and (lists := lists_in(tree, folder)):
            return lists
    return _lists_in_split_folders(tree, place)


def _may_hold_lists(folder: PurePosixPath) -> bool:
    """Tell whether a folder, from the dataset's, is one for lists: ``""``, ``splits``, ``ImageSets/Main``."""
    parts = [part.casefold() for part in folder.parts]
    known = [part in _FOLDERS for part in parts]
    return all(known) or (len(parts) == 2 and parts[0] == "imagesets")


def _lists_in_split_folders(tree: FileTree, place: PurePosixPath) -> dict[str, str]:
    """Return the lists such as ``train/images.txt``, whose folders name the splits."""
    lists: dict[str, str] = {}
    for path in tree.others:
        split = split_of_folder(path.parent.name) if path.parent.parent == place else None
        if split and _is_list(path) and not _words(path):
            lists.setdefault(split, path.as_posix())
    return lists if "train" in lists else {}


def _is_list(path: PurePosixPath) -> bool:
    return path.suffix.lower() in LIST_SUFFIXES


def lists_in(tree: FileTree, folder: PurePosixPath) -> dict[str, str]:
    """Return split -> list file in one folder, such as ``train.txt`` or ``val_list.csv``."""
    lists: dict[str, str] = {}
    for path in tree.others:
        if path.parent != folder or not _is_list(path):
            continue
        if split := split_of_list(path):
            lists.setdefault(split, path.as_posix())
    return lists if "train" in lists else {}


def split_of_list(path: PurePosixPath) -> str | None:
    """Return the split in a list file's name, such as ``val`` for ``val_list.csv``, or None."""
    words = _words(path)
    return split_of_folder(words[0]) if len(words) == 1 else None


def _words(path: PurePosixPath) -> list[str]:
    """Return the words of a list file's name that say more than that it is a list of images."""
    return [word for word in re.split(r"[\W_\d]+", path.stem.casefold()) if word and word not in _NOISE]


def dataset_of_list(path: Path) -> Path:
    """Return the folder with the images of a list file, above folders for lists such as ``splits/fold_1``."""
    folder = path.absolute().parent
    while _is_for_lists(folder) and not (folder / FILE_NAME).exists() and not list_files(folder).images:
        folder = folder.parent
    return folder


def _is_for_lists(folder: Path) -> bool:
    name = folder.name.casefold()
    named = name in _FOLDERS or folder.parent.name.casefold() == "imagesets" or split_of_folder(name)
    return bool(named or re.fullmatch(r"fold[\W_]*\d+", name))


def apply_split_lists(
    records: tuple[Record, ...],
    root: Path,
    settings: DatasetFile,
    lists: SplitPlaces,
    *,
    may_be_unused: bool = True,
) -> tuple[tuple[Record, ...], list[Finding]]:
    """Set the records' splits from `dataset.yaml`, or from list files if it has no `splits`.

    Args:
        records: The records, with the splits from their folders.
        root: The dataset folder.
        settings: Its `splits` take precedence.
        lists: The splits from list files or the format's own files.
        may_be_unused: Whether another file that looks like a list of a split is a finding; not if the format
            reads such files for something else.

    Returns:
        The records, with split None for those in no list, and the findings.

    Raises:
        DataError: A list file is missing, names no image, or two lists name the same image.
    """
    spelled = isinstance(settings.splits, SplitLists)
    if isinstance(settings.splits, SplitLists):
        named = settings.splits.model_dump(exclude_none=True)
        lists = {split: str(named[split]) for split in ("train", "val", "test") if split in named}

    def with_unused(listed: tuple[Record, ...], used: Sequence[str], reason: str) -> list[Finding]:
        return _unused_lists(listed, root, used, reason) if may_be_unused and not spelled else []

    if settings.splits is not None and not spelled:
        return records, with_unused(records, (), "dataset.yaml sets fractions in `splits`")
    if not lists:
        return records, with_unused(records, (), "the folders of the images give the splits")
    names = ImageNames.of_records(records, root)
    list_of: dict[str, tuple[str, str]] = {}
    unknown: list[str] = []
    places = [
        (split, value)
        for split, values in lists.items()
        for value in ([values] if isinstance(values, str) else values)
    ]
    for split, value in places:
        members, missing = _members(root, value, names)
        unknown += [f"{value}: {name}" for name in missing]
        if not members and spelled:
            raise _names_nothing(root, value, split, missing)
        for name in members:
            if list_of.setdefault(name, (split, value))[0] != split:
                raise _overlap(name, list_of[name][1], value)
    used = [value for _, value in places]
    reason = f"the splits come from {', '.join(used)}"
    if not list_of:
        return records, with_unused(records, used, reason)
    left = [record for record in records if record.name not in list_of]
    listed = tuple(_placed(record, *list_of.get(record.name, (None, None))) for record in records)
    return listed, [*_findings(used, unknown, left, root), *with_unused(listed, used, reason)]


def _placed(record: Record, split: str | None, origin: str | None) -> Record:
    return replace(record, split=split, split_from=origin)


def _unused_lists(records: tuple[Record, ...], root: Path, used: Sequence[str], reason: str) -> list[Finding]:
    """Return a finding about lists that would split the images otherwise, since test images must not train.

    Args:
        records: The records with their final splits.
        root: The dataset folder.
        used: The list files and folders that are used.
        reason: Why others are not.
    """
    own = [PurePosixPath(value) for value in used]
    found = [(path, split_of_list(path)) for path in list_files(root).others if _is_list(path)]
    others = [(p, split) for p, split in found if split and not any(_belong_together(p, one) for one in own)]
    if not others:
        return []  # as nearly always, so the names of 100,000 images need not be spelled
    labels = {label for record in records for label in record.labels}
    others = [(path, split) for path, split in others if root / path not in labels]
    names, split_of = ImageNames.of_records(records, root), {r.name: r.split for r in records}
    left = [
        path.as_posix()
        for path, split in others
        if any(split_of[name] != split for name in _first_names(root / path, names))
    ]
    if not left:
        return []
    subject = "A list of images is" if len(left) == 1 else f"{len(left)} lists of images are"
    return [
        format_finding(
            "split-list-not-used",
            left[0],
            f"{subject} not used: {reason}.",
            expected="splits from one place",
            fix="To use them, write for example `splits: {train: train.txt, val: val.txt}` into "
            "dataset.yaml.",
            files=left,
        )
    ]


def _belong_together(path: PurePosixPath, used: PurePosixPath) -> bool:
    """Tell whether a list is used, or is for another task of VOC's ``ImageSets``."""
    homes = [place for place in used.parents if place.name == "ImageSets"]
    return path == used or any(path.is_relative_to(place) for place in homes)


def _first_names(path: Path, names: ImageNames) -> list[str]:
    """Return the images on the first lines of a file; none if most of the lines are something else."""
    try:
        found = names.on(read_text(path).splitlines()[:_LINES_TRIED])
    except (OSError, ValueError):
        return []
    images = [name for _, name in found if name]
    return images if 2 * len(images) > len(found) else []


def _members(root: Path, value: str, names: ImageNames) -> tuple[list[str], list[str]]:
    """Return the images that a list file or a folder names, and the lines that name none."""
    place = root / value
    if os.path.isdir(place):  # noqa: PTH112 - Path.is_dir raises an error for names that are too long
        return names.below(PurePosixPath(value)), []
    try:
        lines = read_text(place).splitlines()
    except FileNotFoundError:
        raise DataError(
            describe(
                "A split list is missing",
                where=place,
                expected="a text file with one image name per line, or a folder",
                fix="Correct `splits` in dataset.yaml.",
            )
        ) from None
    except (OSError, ValueError) as error:
        problem = f"{error.strerror or error}" if isinstance(error, OSError) else str(error)
        raise DataError(
            describe(
                "A split list cannot be read",
                where=place,
                found=problem,
                expected="a text file with one image name per line",
                fix="Save it as UTF-8.",
            )
        ) from None
    found = names.on(lines)
    return [name for _, name in found if name], [line for line, name in found if not name]


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
            format_finding(
                "split-names-unknown-image",
                unknown[0],
                f"{len(unknown)} names in the split lists belong to no image.",
                expected="names of images in the dataset folder",
                fix="Add the images or remove the lines.",
                files=unknown,
            )
        )
    if left:
        findings.append(
            format_finding(
                "image-in-no-split",
                str(left[0].image.relative_to(root)),
                f"{len(left)} images are in none of {', '.join(lists)}; they are left out.",
                files=[str(r.image.relative_to(root)) for r in left[:MOST_FILES]],
                count=len(left),
            )
        )
    return findings
