"""Splits named one by one: list files (one image name a line) or folders."""

from dataclasses import replace
from pathlib import Path, PurePosixPath

from limner.core.dataset_file import DatasetFile, SplitLists
from limner.core.errors import DataError, describe
from limner.core.finding import Finding, Severity
from limner.core.sample import Record
from limner.formats.file_tree import FileTree
from limner.formats.folder_words import read_folder_name

_MOST_NAMED = 20


def apply_split_lists(
    records: tuple[Record, ...], root: Path, tree: FileTree, settings: DatasetFile
) -> tuple[tuple[Record, ...], list[Finding]]:
    """Set the records' splits from `dataset.yaml`, or from list files lying beside the images.

    Records that no list names get the split None.

    Raises:
        DataError: A list file is missing, names nothing, or an image stands in two of them.
    """
    lists: dict[str, str] = {}
    if isinstance(settings.splits, SplitLists):
        named = settings.splits
        lists = {s: v for s, v in (("train", named.train), ("val", named.val), ("test", named.test)) if v}
    elif settings.splits is None and not any(r.split for r in records):
        lists = _lists_beside(tree)
    if not lists:
        return records, []
    index = _index(records, root)
    split_of: dict[str, str] = {}
    source_of: dict[str, str] = {}
    unknown: list[str] = []
    for split, value in lists.items():
        members, missing = _members(root, value, index)
        unknown += [f"{value}: {name}" for name in missing]
        if not members and isinstance(settings.splits, SplitLists):
            raise _names_nothing(root, value, split, missing)
        for name in members:
            if split_of.setdefault(name, split) != split:
                raise _overlap(name, source_of[name], value)
            source_of.setdefault(name, value)
    if not split_of:
        return records, []
    findings = _findings(lists, unknown, [r for r in records if r.name not in split_of], root)
    return tuple(replace(r, split=split_of.get(r.name)) for r in records), findings


def _lists_beside(tree: FileTree) -> dict[str, str]:
    lists: dict[str, str] = {}
    for path in tree.others:
        if path.suffix.lower() not in (".txt", ".lst", ".csv"):
            continue
        name = read_folder_name(path.stem)
        if name.split and not name.words and name.split not in lists and name.role in (None, "image"):
            lists[name.split] = path.as_posix()
    return lists if "train" in lists or len(lists) > 1 else {}


def _index(records: tuple[Record, ...], root: Path) -> dict[str, list[str]]:
    """Return every way to write an image's name -> record names."""
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
    if place.is_dir():
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
                mend="Correct `splits` in dataset.yaml.",
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
    """Find the image that a line names: as it stands, its first column, or that column's file name."""
    first = line.replace(",", " ").split()[0] if line.replace(",", " ").split() else line
    for text in (line, first, first.removeprefix("./"), PurePosixPath(first).name, PurePosixPath(first).stem):
        names = index.get(text, [])
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
            found=f"it stands in {first} and in {second}",
            expected="each image in one split: otherwise scores flatter the model",
            mend=f"Remove it from {first} or {second}.",
        )
    )


def _findings(lists: dict[str, str], unknown: list[str], left: list[Record], root: Path) -> list[Finding]:
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
                files=tuple(unknown[:_MOST_NAMED]),
                count=len(unknown),
            )
        )
    if left:
        findings.append(
            Finding(
                "image-in-no-split",
                Severity.NOTE,
                str(left[0].image.relative_to(root)),
                f"{len(left)} images stand in none of {', '.join(lists.values())}; they are left out.",
                files=tuple(str(r.image.relative_to(root)) for r in left[:_MOST_NAMED]),
                count=len(left),
            )
        )
    return findings
