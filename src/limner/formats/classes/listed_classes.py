"""Lists of images and their classes as text: lines of ``name label``, or tables."""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from limner.formats.file_tree import FileTree
from limner.formats.listed_names import LIST_SUFFIXES
from limner.formats.name_index import NameIndex
from limner.formats.shapes.annotation_files import split_of
from limner.formats.split_lists import split_of_list
from limner.storage.text_files import read_text

_MAX_DEPTH = 3
_MAX_LISTS = 40
_MAX_TRIED = 20
_KNOWN_SHARE = 0.5
"""Minimum share of the first lines that name an image."""

_LABEL_COLUMNS = (
    "label_name",
    "class_name",
    "classname",
    "category_name",
    "label",
    "labels",
    "class",
    "category",
    "target",
    "species",
    "diagnosis",
    "dx",
)
"""Headings of the column of classes, preferred ones first: names before numbers beside them."""

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

COUNTED = re.compile(r"\d{1,4}(\.0+)?", re.ASCII)
"""Labels that number the classes; longer numbers are names, such as product codes."""

_CLASS_FILES = ("classes", "class_names", "classnames", "label_names")
"""Of these, those that name classes for sure."""

Rows = list[tuple[str, tuple[str, ...]]]
"""(image, its classes) as written."""

SEPARATORS = re.compile(r"\s*[;|]\s*")
"""What separates the classes in a cell."""

MORE_SEPARATORS = {"labels": (r"\s*,\s*",), "tags": (r"\s*,\s*", r"\s+")}
"""Name of a column -> what else separates the classes in its cells."""


@dataclass(frozen=True)
class ClassList:
    """One list.

    Attributes:
        path: Its file, relative to the dataset folder.
        split: The split that its name states, or None.
        rows: What its lines say.
        uneven: Lines with another number of cells than the first one, which are left out.
    """

    path: PurePosixPath
    split: str | None
    rows: Rows
    uneven: Sequence[str] = ()


class ListedImageFinder:
    """Find the images that lists name, by the end of their path, with or without suffix."""

    def __init__(self, tree: FileTree) -> None:
        both = zip(tree.images, tree.stems, strict=True)
        self._by_name = NameIndex((name, path) for path, stem in both for name in (path.name, stem))

    def find(self, text: str, listed_in: PurePosixPath) -> PurePosixPath | None:
        """Return the image of a name, or None if there is none, or it could be one of several."""
        found = self.candidates(text, listed_in)
        return found[0] if len(found) == 1 else None

    def candidates(self, text: str, listed_in: PurePosixPath) -> Sequence[PurePosixPath]:
        """Return the images that a name could mean; of several, those in the folder of the list."""
        wanted = PurePosixPath(text.replace("\\", "/"))
        same = self._by_name.find(wanted.name)
        same = [path for path in same if path.is_relative_to(listed_in.parent)] or same
        if len(same) <= 1:
            return same
        parts = [part for part in wanted.parts if part not in (".", "/")]
        by_name = [p for p in same if [*p.parts[:-1], p.name][-len(parts) :] == parts]
        by_stem = [p for p in same if [*p.parts[:-1], p.stem][-len(parts) :] == parts]
        return by_name or by_stem or same


def class_lists(root: Path, tree: FileTree) -> list[ClassList]:
    """Return the lists of images and classes; if some of them name splits, only those."""
    named = [p for p in tree.others if p.suffix.lower() in LIST_SUFFIXES and len(p.parts) <= _MAX_DEPTH]
    if not named or len(named) > _MAX_LISTS or not tree.images:
        return []
    if "class-lists" not in tree.remembered:
        finder = ListedImageFinder(tree)
        read = [found for path in named if (found := _read(root, path, finder))]
        tree.remembered["class-lists"] = [found for found in read if found.split] or read
    lists: list[ClassList] = tree.remembered["class-lists"]
    return lists


def _read(root: Path, path: PurePosixPath, finder: ListedImageFinder) -> ClassList | None:
    try:
        text = read_text(root / path)
    except (OSError, ValueError):
        return None
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]

    def is_image(name: str) -> bool:
        return finder.find(name, path) is not None

    try:
        rows, uneven = _rows(lines, is_image)
    except csv.Error:  # a cell of 128 KiB or more
        return None
    known = sum(is_image(name) for name, _ in rows[:_MAX_TRIED])
    # A second column of other images is a list of pairs; a number is a class, even if an image is named so.
    labels = (label for _, labels in rows[:_MAX_TRIED] for label in labels if not COUNTED.fullmatch(label))
    images = sum(map(is_image, labels))
    if not rows or known < _KNOWN_SHARE * len(rows[:_MAX_TRIED]) or images:
        return None
    return ClassList(path, split_of_list(path) or split_of(path), rows, uneven)


def _rows(lines: Sequence[str], is_image: Callable[[str], bool]) -> tuple[Rows, list[str]]:
    """Return the images with their classes, and the lines with another number of cells than the first."""
    separator = next((s for s in ("\t", ",", ";") if lines and s in lines[0]), None)
    if separator is None:
        parts = (line.strip().rpartition(" ") for line in lines)
        return [(name.strip(), (label,)) for name, _, label in parts if name], []
    table = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=separator)]
    width = len(table[0])
    table = [row if any(row[width:]) else row[:width] for row in table]
    whole = [row for row in table if len(row) == width]
    return list(_rows_of_table(whole, is_image)), [separator.join(r) for r in table if len(r) != width]


def _rows_of_table(
    table: Sequence[Sequence[str]], is_image: Callable[[str], bool]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    width = len(table[0])
    image = max(range(width), key=lambda column: sum(is_image(row[column]) for row in table[:_MAX_TRIED]))
    heading = [] if is_image(table[0][image]) else table[0]
    body = table[1:] if heading else table
    column = _named_label_column(heading)
    if column is None or column == image:
        flags = [
            c
            for c in range(width)
            if c != image and heading and {row[c] for row in body} <= {"0", "1", "0.0", "1.0"}
        ]
        if len(flags) >= 2:  # a column for each class, 1 where the image has it
            for row in body:
                yield row[image], tuple(heading[c] for c in flags if float(row[c]) == 1)
            return
        column = _only_other_column(heading, image, width)
    if column is None:
        return
    parted = _parted([row[column] for row in body], heading[column].casefold() if heading else "")
    yield from zip((row[image] for row in body), parted, strict=True)


def _parted(cells: Sequence[str], heading: str) -> list[tuple[str, ...]]:
    """Return the classes in each cell: by commas and spaces, only if they recur in other combinations."""
    whole: list[tuple[str, ...]] = [(cell,) if cell else () for cell in cells]
    for way in (SEPARATORS, *map(re.compile, MORE_SEPARATORS.get(heading, ()))):
        parted = [tuple(part for part in way.split(cell) if part) for cell in cells]
        names = {name for parts in parted for name in parts}
        recurs = way is SEPARATORS or len(names) < len(set(cells))
        if any(len(parts) > 1 for parts in parted) and recurs:
            return parted
    return whole


def _named_label_column(heading: Sequence[str]) -> int | None:
    """Return the column that is called after labels; columns of 0 and 1 beside it are no classes."""
    words = [word.casefold().replace(" ", "_") for word in heading]
    return next((words.index(word) for word in _LABEL_COLUMNS if word in words), None)


def _only_other_column(heading: Sequence[str], image: int, width: int) -> int | None:
    """Return the column beside that of the images; None if a heading has several."""
    if heading and width > 2:
        return None
    return next((column for column in range(width) if column != image), None)


def names_beside(root: Path, tree: FileTree, lists: Sequence[ClassList], count: int) -> tuple[str, ...]:
    """Return the names of the classes from a file such as classes.txt; empty if there is none.

    Args:
        root: The dataset folder.
        tree: Its files.
        lists: The lists of images, which are no names.
        count: Number of classes in the lists; a file that may be about something else has as many names.
    """
    listed = {found.path for found in lists}
    for path in tree.others:
        stem = path.stem.casefold()
        if path in listed or stem not in _NAME_FILES or path.suffix.lower() not in (".txt", ".names"):
            continue
        try:
            lines = read_text(root / path).splitlines()
        except (OSError, ValueError):
            continue
        names = tuple(re.sub(r"^\d+[\s,:]+", "", line.strip()) for line in lines if line.strip())
        fits = len(names) == count or (stem in _CLASS_FILES and len(names) > 1)
        if fits and len(names) == len(set(names)):
            return names
    return ()
