"""List files that name each image with its mask: ``train.txt`` with two paths per line."""

import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, describe
from limner.core.finding import Finding
from limner.core.sample import Record
from limner.formats.file_tree import FileTree, list_files
from limner.formats.format_codes import format_finding
from limner.formats.listed_names import LIST_SUFFIXES
from limner.formats.name_index import NameIndex
from limner.formats.pairs.paired_folders import PairedFolders
from limner.formats.shapes.annotation_files import split_of
from limner.formats.split_lists import apply_split_lists, split_of_list
from limner.images.file_names import is_image_name, without_suffix
from limner.storage.text_files import read_text

_MAX_DEPTH = 3
"""Maximum depth of list files below the dataset folder; a YOLO dataset has a text file for each image."""

_MAX_LISTS = 40
_MAX_LINES_TRIED = 5


@dataclass(frozen=True)
class _List:
    """One list file: its split, its pairs on disk, and the lines without a pair."""

    path: PurePosixPath
    split: str | None
    pairs: tuple[tuple[PurePosixPath, PurePosixPath], ...]
    missing: tuple[str, ...]


class ListedPairs(PairedFolders):
    """Pairs from lists, whatever the names of files and folders."""

    name = "listed-pairs"
    title = "list files that name an image and its mask in each line: train.txt, val.txt, or any one list"

    @classmethod
    def recognise(cls, root: Path, settings: DatasetFile) -> str | None:
        """Return the evidence that `root` has this layout, or None; reads the first lines of a few lists."""
        if settings.images or settings.masks:
            return None
        lists = _candidates(root, list_files(root), head_only=True)
        return f"{', '.join(str(found.path) for found in lists)}: pairs of image and mask" if lists else None

    def index(self) -> tuple[tuple[Record, ...], tuple[Finding, ...]]:
        """List one record for each pair; an image in two lists has to be in one split."""
        lists = _candidates(self.root, list_files(self.root), head_only=False)
        records: dict[PurePosixPath, Record] = {}
        list_of: dict[PurePosixPath, PurePosixPath] = {}
        for found in lists:
            for image, mask in found.pairs:
                if image in records and _contradicts(records[image], self.root / mask, found.split):
                    raise _named_twice(image, list_of[image], found.path)
                name = without_suffix(image).as_posix()
                origin = str(found.path) if found.split else None
                records[image] = Record(
                    name, self.root / image, (self.root / mask,), found.split, split_from=origin
                )
                list_of[image] = found.path
        listed = tuple(sorted(_with_unique_names(records), key=lambda record: record.name))
        listed, findings = apply_split_lists(listed, self.root, self.settings, {}, may_be_unused=False)
        return listed, (_layout_finding(lists), *_missing(lists), *findings)


def _candidates(root: Path, tree: FileTree, *, head_only: bool) -> list[_List]:
    """Return the lists of pairs; if some of them name splits, only those."""
    named = [p for p in tree.others if p.suffix.lower() in LIST_SUFFIXES and len(p.parts) <= _MAX_DEPTH]
    if not named or len(named) > _MAX_LISTS:
        return []
    ends = NameIndex((path.name, path) for path in tree.images)
    read = [found for path in named if (found := _read(root, path, ends, head_only=head_only))]
    return [found for found in read if found.split] or read


def _read(root: Path, path: PurePosixPath, ends: NameIndex, *, head_only: bool) -> _List | None:
    try:
        lines = read_text(root / path).splitlines()
    except (OSError, ValueError):
        return None
    head = lines[:_MAX_LINES_TRIED]
    if not any(_pair(line, ends) for line in head):
        return None
    pairs, missing = [], []
    for number, line in enumerate(line.strip() for line in (head if head_only else lines)):
        if not line or line.startswith("#"):
            continue
        pair = _pair(line, ends)
        pairs += [pair] if pair else []
        missing += [] if pair or (not number and _is_heading(line)) else [line]
    return _List(path, split_of_list(path) or split_of(path), tuple(pairs), tuple(missing))


def _pair(line: str, ends: NameIndex) -> tuple[PurePosixPath, PurePosixPath] | None:
    """Return the image and the mask on a line, or None."""
    columns = [c.strip().strip('"') for c in re.split(r"[,;\t]", line.strip()) if c.strip()]
    ways = [tuple(columns[:2])] if len(columns) >= 2 else _halves(line.split())
    for one, other in ways:
        image, mask = _look_up(one, ends), _look_up(other, ends)
        if image and mask and image != mask:
            return image, mask
    return None


def _halves(words: list[str]) -> list[tuple[str, str]]:
    """Return the ways to split a line into two names, which may hold blanks; more columns may follow."""
    two = [(" ".join(words[:cut]), " ".join(words[cut:])) for cut in range(1, len(words))]
    return [*([(words[0], words[1])] if len(words) > 1 else []), *two]


def _is_heading(line: str) -> bool:
    """Tell whether a first line names columns rather than files."""
    return not any(is_image_name(word) for word in re.split(r"[,;\s]+", line))


def _look_up(text: str, ends: NameIndex) -> PurePosixPath | None:
    """Find the file whose path ends like the given one; lists often contain another machine's folders."""
    wanted = PurePosixPath(text.replace("\\", "/"))
    fitting = [(_shared_end(path, wanted), path) for path in ends.find(wanted.name)]
    if not fitting:
        return None
    longest = max(length for length, _ in fitting)
    best = [path for length, path in fitting if length == longest]
    return best[0] if len(best) == 1 else None


def _shared_end(path: PurePosixPath, other: PurePosixPath) -> int:
    same = 0
    for one, two in zip(reversed(path.parts), reversed(other.parts), strict=False):
        if one != two:
            break
        same += 1
    return same


def _contradicts(record: Record, mask: Path, split: str | None) -> bool:
    return record.labels != (mask,) or record.split != split


def _with_unique_names(records: dict[PurePosixPath, Record]) -> list[Record]:
    """Use whole paths as names if images differ in their suffix alone."""
    names = [record.name for record in records.values()]
    if len(set(names)) == len(names):
        return list(records.values())
    return [replace(record, name=path.as_posix()) for path, record in records.items()]


def _named_twice(image: PurePosixPath, first: PurePosixPath, second: PurePosixPath) -> DataError:
    return DataError(
        describe(
            "An image is in two lists with different masks or splits",
            where=str(image),
            found=f"{first} and {second}",
            expected="each image in one list: otherwise scores look better than they are",
            fix="Remove it from one of them.",
        )
    )


def _layout_finding(lists: list[_List]) -> Finding:
    parts = ", ".join(f"{len(found.pairs)} in {found.path}" for found in lists)
    return format_finding("layout", str(lists[0].path) if lists else ".", f"Pairs as listed: {parts}.")


def _missing(lists: list[_List]) -> list[Finding]:
    lines = [f"{found.path}: {line}" for found in lists for line in found.missing]
    if not lines:
        return []
    return [
        format_finding(
            "listed-file-missing",
            lines[0],
            f"{len(lines)} lines of the lists name a file that is not there; they are left out.",
            expected="an image and its mask, both in the dataset folder",
            fix="Add the files, or remove the lines.",
            files=lines,
        )
    ]
