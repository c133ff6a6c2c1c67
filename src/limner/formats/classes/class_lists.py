"""List files that name each image with its class: ``train.txt`` with lines ``name label``, or a CSV."""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, describe
from limner.core.finding import MOST_FILES, Finding, Severity
from limner.core.labels import alphabetical
from limner.core.sample import Record
from limner.formats.classes.image_classes import ImageClasses
from limner.formats.file_tree import FileTree, list_files
from limner.formats.listed_names import LIST_SUFFIXES
from limner.formats.name_index import NameIndex
from limner.formats.shapes.annotation_files import split_of
from limner.formats.split_lists import apply_split_lists, split_of_list
from limner.storage.text_files import read_text

_MAX_DEPTH = 3
_MAX_LISTS = 40
_MAX_TRIED = 20
_KNOWN_SHARE = 0.5
"""Minimum share of the first lines that name an image."""

_LABEL_COLUMNS = (
    "label",
    "labels",
    "class",
    "class_name",
    "classname",
    "category",
    "target",
    "species",
    "diagnosis",
    "dx",
)
_NAME_FILES = (
    "classes",
    "class_names",
    "classnames",
    "labels",
    "label_names",
    "names",
    "categories",
    "synset_words",
)

_COUNTED = re.compile(r"\d{1,4}(\.0+)?", re.ASCII)
"""Labels that number the classes; longer numbers are names, such as product codes."""

Rows = list[tuple[str, str]]
"""(image, class) as written; the class is empty if there is none, or several."""


@dataclass(frozen=True)
class _List:
    path: PurePosixPath
    split: str | None
    rows: Rows


class ClassLists(ImageClasses):
    """Images with a class from a list: a number or a word."""

    name = "class-list"
    title = "list files that name an image and its class in each line (train.txt, val.txt), or a CSV"

    @classmethod
    def recognise(cls, root: Path, settings: DatasetFile) -> str | None:
        """Return the evidence that `root` has this layout, or None; reads the first lines of a few lists."""
        if settings.images or settings.masks:
            return None
        lists = _lists(root, list_files(root))
        return f"{', '.join(str(found.path) for found in lists)}: images with their class" if lists else None

    def index(self) -> tuple[tuple[Record, ...], tuple[Finding, ...]]:
        """List one record for each line whose image exists."""
        tree = list_files(self.root)
        lists, finder = _lists(self.root, tree), _Finder(tree)
        numbers, said = self._numbering([label for found in lists for _, label in found.rows if label], tree)
        records: dict[PurePosixPath, Record] = {}
        missing: list[str] = []
        unclear: list[str] = []
        for found in lists:
            for name, label in found.rows:
                path = finder.find(name, found.path)
                if path is None or not label:
                    (unclear if path else missing).append(f"{found.path}: {name}")
                    continue
                record = Record(
                    path.as_posix(),
                    self.root / path,
                    (self.root / found.path,),
                    found.split,
                    label=numbers[label],
                )
                other = records.setdefault(path, record)
                if (other.label, other.split) != (record.label, record.split):
                    raise _contradiction(path, other, record)
        listed = tuple(sorted(records.values(), key=lambda record: record.name))
        listed, findings = apply_split_lists(listed, self.root, self.settings, {}, may_be_unused=False)
        counts = ", ".join(f"{len(found.rows)} in {found.path}" for found in lists)
        layout = Finding(
            "layout", Severity.NOTE, str(lists[0].path) if lists else "the dataset", f"{counts}. {said}"
        )
        return listed, (layout, *_missing(missing), *_unclear(unclear), *findings)

    def _numbering(self, labels: Sequence[str], tree: FileTree) -> tuple[dict[str, int], str]:
        """Return class as written -> number from 0, and a sentence about the numbering."""
        found = sorted(set(labels))
        if not all(_COUNTED.fullmatch(label) for label in found):
            self.class_names = alphabetical(found)
            return {
                name: i for i, name in enumerate(self.class_names)
            }, "Classes are words, numbered alphabetically."
        values = {label: int(float(label)) for label in found}
        base = 1 if min(values.values(), default=0) == 1 else 0
        last = max(values.values(), default=0)
        names = _names_beside(self.root, tree, last - base + 1)
        self.class_names = names or tuple(f"class {number}" for number in range(base, last + 1))
        said = f"Classes are numbered from {base} to {last}: {base} is the first class"
        said += f", {self.class_names[0]!r}" if names else ""
        return {label: value - base for label, value in values.items()}, f"{said}."


class _Finder:
    """Find the images that lists name, by the end of their path, with or without suffix."""

    def __init__(self, tree: FileTree) -> None:
        both = zip(tree.images, tree.stems, strict=True)
        self._by_name = NameIndex((name, path) for path, stem in both for name in (path.name, stem))

    def find(self, text: str, listed_in: PurePosixPath) -> PurePosixPath | None:
        """Return the image of a name; of several, the one in the folder of the list."""
        wanted = PurePosixPath(text.replace("\\", "/"))
        same = self._by_name.find(wanted.name)
        same = [path for path in same if path.is_relative_to(listed_in.parent)] or same
        if len(same) <= 1:
            return same[0] if same else None
        parts = [part for part in wanted.parts if part not in (".", "/")]
        fitting = [p for p in same if [*p.parts[:-1], p.name][-len(parts) :] == parts] or [
            p for p in same if [*p.parts[:-1], p.stem][-len(parts) :] == parts
        ]
        return fitting[0] if len(fitting) == 1 else None


def _lists(root: Path, tree: FileTree) -> list[_List]:
    """Return the lists of images and classes; if some of them name splits, only those."""
    named = [p for p in tree.others if p.suffix.lower() in LIST_SUFFIXES and len(p.parts) <= _MAX_DEPTH]
    if not named or len(named) > _MAX_LISTS or not tree.images:
        return []
    if "class-lists" not in tree.remembered:
        finder = _Finder(tree)
        read = [found for path in named if (found := _read(root, path, finder))]
        tree.remembered["class-lists"] = [found for found in read if found.split] or read
    lists: list[_List] = tree.remembered["class-lists"]
    return lists


def _read(root: Path, path: PurePosixPath, finder: _Finder) -> _List | None:
    try:
        text = read_text(root / path)
    except (OSError, ValueError):
        return None

    def is_image(name: str) -> bool:
        return finder.find(name, path) is not None

    try:
        rows = list(_rows(text, is_image))
    except csv.Error:  # a cell of 128 KiB or more
        return None
    known = sum(is_image(name) for name, _ in rows[:_MAX_TRIED])
    # A second column of other images is a list of pairs.
    images = sum(is_image(label) for _, label in rows[:_MAX_TRIED])
    if not rows or known < _KNOWN_SHARE * len(rows[:_MAX_TRIED]) or images:
        return None
    return _List(path, split_of_list(path) or split_of(path), rows)


def _rows(text: str, is_image: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        return
    separator = next((s for s in ("\t", ",", ";") if s in lines[0]), None)
    if separator is None:
        for line in lines:
            name, _, label = line.strip().rpartition(" ")
            if name:
                yield name.strip(), label
        return
    table = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=separator)]
    width = len(table[0])
    whole = [row for row in table if len(row) == width]
    image = max(range(width), key=lambda column: sum(is_image(row[column]) for row in whole[:_MAX_TRIED]))
    heading = [] if is_image(whole[0][image]) else whole[0]
    body = whole[1:] if heading else whole
    flags = [
        c
        for c in range(width)
        if c != image and heading and {row[c] for row in body} <= {"0", "1", "0.0", "1.0"}
    ]
    if len(flags) >= 2:  # a column a class, 1 in one of them
        for row in body:
            chosen = [heading[c] for c in flags if float(row[c]) == 1]
            yield row[image], chosen[0] if len(chosen) == 1 else ""
        return
    column = _label_column(heading, image, width)
    for row in body:
        if column is not None:
            yield row[image], row[column]


def _label_column(heading: Sequence[str], image: int, width: int) -> int | None:
    words = [word.casefold().replace(" ", "_") for word in heading]
    named = [words.index(word) for word in _LABEL_COLUMNS if word in words]
    if named:
        return named[0]
    if heading and width > 2:
        return None
    return next((column for column in range(width) if column != image), None)


def _names_beside(root: Path, tree: FileTree, count: int) -> tuple[str, ...]:
    """Return the names of `count` classes from a file such as classes.txt; empty if there is none."""
    for path in tree.others:
        if path.stem.casefold() not in _NAME_FILES or path.suffix.lower() not in (".txt", ".names"):
            continue
        try:
            lines = read_text(root / path).splitlines()
        except (OSError, ValueError):
            continue
        names = tuple(re.sub(r"^\d+[\s,:]+", "", line.strip()) for line in lines if line.strip())
        if len(names) == count == len(set(names)):
            return names
    return ()


def _contradiction(path: PurePosixPath, first: Record, second: Record) -> DataError:
    return DataError(
        describe(
            "An image is listed with two classes or in two splits",
            where=str(path),
            found=f"{first.labels[0].name} and {second.labels[0].name}",
            expected="each image once",
            fix="Remove it from one of them.",
        )
    )


def _missing(lines: Sequence[str]) -> list[Finding]:
    return _left_out(
        "listed-file-missing",
        lines,
        "name an image that is missing",
        "an image in the dataset folder",
        "Add the files, or remove the lines.",
    )


def _unclear(lines: Sequence[str]) -> list[Finding]:
    return _left_out(
        "listed-class-unclear",
        lines,
        "give an image no class, or several",
        "one class for each image",
        "Fill in the class, or keep one.",
    )


def _left_out(code: str, lines: Sequence[str], said: str, expected: str, fix: str) -> list[Finding]:
    if not lines:
        return []
    lists = Counter(line.partition(":")[0] for line in lines)
    found = f"{len(lines)} lines of {', '.join(lists)} {said}; they are left out."
    files = tuple(lines[:MOST_FILES])
    return [Finding(code, Severity.WARNING, lines[0], found, expected, fix, files=files, count=len(lines))]
