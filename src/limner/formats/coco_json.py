"""COCO's JSON files: recognised without being parsed, read once, and its images found on disk."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from limner.core.errors import ConfigError, DataError, describe
from limner.core.finding import MOST_FILES, Finding, Severity
from limner.core.labels import LabelClass, distinct_color
from limner.formats.file_tree import FileTree

Id = int | str
"""COCO's ids are numbers; other tools also write text."""

SNIFFED_BYTES = 65536
"""Looked at from either end of a JSON file: the lists at the ends name the rest."""

MOST_SNIFFED = 50
"""Of more JSON files than this only the largest are looked at: a file an image is another layout."""

_SPLIT_WORDS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
_SPLIT_WORDS |= {"val": "val", "valid": "val", "validation": "val"}


@dataclass(frozen=True)
class CocoImage:
    """One image as the JSON lists it; height and width are None where it does not say."""

    id: Id
    file_name: str
    height: int | None
    width: int | None


@dataclass(frozen=True)
class CocoFile:
    """One parsed file.

    Attributes:
        path: Relative to the dataset folder.
        images: Id -> image.
        categories: Id -> class; ``values`` are the mask values that stand for it.
        annotations: As they are in the file.
    """

    path: PurePosixPath
    images: dict[Id, CocoImage]
    categories: dict[Id, LabelClass]
    annotations: list[dict[str, Any]]

    @property
    def split(self) -> str | None:
        """The split that the file's own name or its folders say."""
        for part in (self.path.stem, *reversed(self.path.parts[:-1])):
            words = re.findall(r"[a-z]+", part.casefold())
            said = {_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS}
            if len(said) == 1:
                return said.pop()
        return None


class Problems:
    """Collects what is wrong, so that a thousand annotations of one kind make one finding."""

    def __init__(self) -> None:
        self._found: dict[str, list[tuple[str, str]]] = defaultdict(list)

    def add(self, code: str, where: str, found: str) -> None:
        """Note one thing; `where` names file and annotation."""
        self._found[code].append((where, found))

    def findings(self) -> tuple[Finding, ...]:
        """Return one finding a code, the first case in words and the others by name."""
        return tuple(self._finding(code, cases) for code, cases in self._found.items())

    def _finding(self, code: str, cases: list[tuple[str, str]]) -> Finding:
        severity, expected, mend = KINDS[code]
        (where, found), count = cases[0], len(cases)
        names = tuple(name for name, _ in cases)
        more = f"; {count - 1} more like it" if count > 1 else ""
        return Finding(
            code, severity, where, found + more, expected, mend, files=names[:MOST_FILES], count=count
        )


_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE
_EXPORT = "Correct it in the tool that drew it and export again."
KINDS: dict[str, tuple[Severity, str, str]] = {
    "category-unknown": (
        _E,
        "an id that `categories` lists",
        "Add the category to the JSON, or remove the annotation.",
    ),
    "category-listed-twice": (_E, "each id and each name once", "Rename or remove one of the two."),
    "image-listed-twice": (_E, "each image id once", "Number the images anew when joining JSON files."),
    "image-missing": (_W, "each listed image on disk", "Put the file there, or remove it from the JSON."),
    "image-not-listed": (_N, "an entry under `images`", "Left out; list it if it shows no object at all."),
    "image-in-two-files": (_W, "each image in one JSON file", "Remove it from one of them."),
    "annotation-image-unknown": (_W, "an id that `images` lists", "Left out. " + _EXPORT),
    "annotation-listed-twice": (_W, "each annotation id once", "Both are taken: look whether one is a copy."),
    "annotation-malformed": (_W, "`image_id`, `category_id` and `segmentation`", "Left out. " + _EXPORT),
    "annotation-without-mask": (_W, "a polygon or an RLE", "Left out; a box alone draws no mask."),
    "no-masks": (_E, "polygons or RLE under `segmentation`", "Export with masks; boxes alone give none."),
    "polygon-too-short": (_W, "3 points or more", "The polygon is left out. " + _EXPORT),
    "polygon-outside-image": (_W, "points inside the image", "It is cut at the border. " + _EXPORT),
    "annotation-empty": (_W, "an area of a pixel or more", "Left out. " + _EXPORT),
    "rle-wrong-length": (_W, "runs that add up to height x width", "Left out. " + _EXPORT),
    "ids-are-text": (_N, "numbers", "Nothing need be done: text is compared as the number that it spells."),
    "other-annotations-not-used": (_N, "one set of annotations", "Name another folder to use them."),
}
"""Code -> severity, what was expected, how to mend it."""


def sniff(root: Path, tree: FileTree) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Yield the JSON files that look like COCO's, with the bytes of both ends."""
    files = [path for path in tree.others if path.suffix.casefold() == ".json"]
    if len(files) > MOST_SNIFFED:
        files = sorted(files, key=lambda path: -(root / path).stat().st_size)[:MOST_SNIFFED]
    for path in sorted(files):
        ends = _ends(root / path)
        listed = b'"images"' in ends or b'"annotations"' in ends
        if b'"categories"' in ends and listed and (b'"file_name"' in ends or b'"image_id"' in ends):
            yield path, ends


def _ends(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(SNIFFED_BYTES)
            file.seek(max(len(head), path.stat().st_size - SNIFFED_BYTES))
            return head + b"\n" + file.read(SNIFFED_BYTES)
    except OSError:
        return b""


def nothing_listed(root: Path, tree: FileTree, wanted: str) -> DataError:
    """Return the error of a folder that is said to hold COCO labels and has no such JSON."""
    files = [str(root / path) for path in tree.others if path.suffix.casefold() == ".json"]
    return DataError(
        describe(
            f"No JSON file here lists {wanted}",
            where=files[0] if files else root,
            found=f"{len(files)} JSON files" if files else "no JSON file",
            expected="JSON with the lists `images`, `annotations` and `categories`",
            mend="Export it again, or take `format` out of dataset.yaml.",
        )
    )


def read_coco(root: Path, path: PurePosixPath, problems: Problems) -> CocoFile:
    """Parse one file.

    Raises:
        DataError: It is no JSON, or lacks one of the three lists.
    """
    whole = _parse(root / path)
    rows = {name: _rows(whole, name, root / path) for name in ("images", "annotations", "categories")}
    if any(isinstance(row.get(key), str) for group in rows.values() for row in group for key in ID_KEYS):
        problems.add("ids-are-text", str(path), "ids are written as text")
    images: dict[Id, CocoImage] = {}
    for row in rows["images"]:
        image = _image(row, root / path)
        if image.id in images:
            other = images[image.id].file_name
            problems.add("image-listed-twice", f"{path}, image {image.id}", f"{other} and {image.file_name}")
        images.setdefault(image.id, image)
    return CocoFile(path, images, _categories(rows["categories"], path, problems), rows["annotations"])


ID_KEYS = ("id", "image_id", "category_id")


def plain_id(value: object) -> Id | None:
    """Return an id as a number where it spells one, as text else, None where it is neither."""
    if isinstance(value, bool) or not isinstance(value, int | str | float):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return int(value) if isinstance(value, str) and value.strip().isdecimal() else value


def _parse(path: Path) -> dict[str, Any]:
    try:
        whole = json.loads(path.read_bytes())
    except (OSError, UnicodeDecodeError, RecursionError, json.JSONDecodeError) as error:
        raise _unreadable(path, str(error)) from None
    if not isinstance(whole, dict):
        raise _unreadable(path, f"a {type(whole).__name__} rather than an object")
    return whole


def _rows(whole: dict[str, Any], name: str, path: Path) -> list[dict[str, Any]]:
    rows = whole.get(name)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        found = f"no list `{name}`" if name not in whole else f"`{name}` is not a list of objects"
        raise _unreadable(path, found)
    return rows


def _unreadable(path: Path, found: str) -> DataError:
    return DataError(
        describe(
            "The COCO annotations cannot be read",
            where=path,
            found=found,
            expected="JSON with the lists `images`, `annotations` and `categories`",
            mend="Export or download it again.",
        )
    )


def _image(row: dict[str, Any], path: Path) -> CocoImage:
    number, name = plain_id(row.get("id")), row.get("file_name")
    if number is None or not isinstance(name, str) or not name:
        raise _unreadable(path, f"an image without `id` or `file_name`: {str(row)[:80]}")
    sides = [plain_id(row.get(side)) for side in ("height", "width")]
    height, width = (side if isinstance(side, int) and side > 0 else None for side in sides)
    return CocoImage(number, name.replace("\\", "/"), height, width)


def _categories(
    rows: Sequence[dict[str, Any]], path: PurePosixPath, problems: Problems
) -> dict[Id, LabelClass]:
    """Return id -> class in the order of the ids; where ids are words, their places stand for them."""
    found: dict[Id, tuple[str, bool | None]] = {}
    for row in rows:
        number, name = plain_id(row.get("id")), str(row.get("name", "")) or f"category {row.get('id')}"
        where = f"{path}, category {row.get('id')}"
        if number is None:
            problems.add("category-unknown", where, "a category without an id")
        elif number in found or name in {known for known, _ in found.values()}:
            problems.add("category-listed-twice", where, f"{name!r} repeats an id or a name")
        else:
            is_thing = row.get("isthing")
            found[number] = name, None if is_thing is None else bool(is_thing)
    numbers = [number for number in found if isinstance(number, int)]
    if len(numbers) == len(found):
        found = {number: found[number] for number in sorted(numbers)}
    return {
        number: LabelClass(
            name, (number if isinstance(number, int) else place,), distinct_color(place), is_thing
        )
        for place, (number, (name, is_thing)) in enumerate(found.items(), start=1)
    }


class ImageFinder:
    """Finds listed files on disk: names may be relative to the JSON, to the dataset, or bare."""

    def __init__(self, paths: Iterable[PurePosixPath]) -> None:
        self._by_name: dict[str, list[PurePosixPath]] = defaultdict(list)
        for path in paths:
            self._by_name[path.name].append(path)

    def all(self) -> Iterable[list[PurePosixPath]]:
        """Return every path, those of one name together."""
        return self._by_name.values()

    def find(self, file_name: str, *, near: Iterable[str] = ()) -> PurePosixPath | None:
        """Return the file whose path ends like `file_name`, or bears its bare name; None without one.

        Args:
            file_name: As the JSON has it.
            near: Folder names and words that are preferred, such as the split, strongest first.
        """
        wanted = PurePosixPath(file_name)
        same = self._by_name.get(wanted.name, [])
        parts = [part for part in wanted.parts if part not in (".", "..", "/")]
        found = [path for path in same if list(path.parts[-len(parts) :]) == parts] or same
        words = [word.casefold() for word in near]

        def rank(path: PurePosixPath) -> tuple[bool, ...]:
            folders = [part.casefold() for part in path.parts[:-1]]
            exact = (word not in folders for word in words)
            loose = (not any(word in folder for folder in folders) for word in words)
            return (*exact, *loose)

        return min(found, key=lambda path: (rank(path), len(path.parts), path), default=None)


def one_table(files: Sequence[CocoFile]) -> tuple[LabelClass, ...]:
    """Return the categories of all files, which must agree.

    Raises:
        DataError: Two files mean different things by one id, or there is no category at all.
    """
    table: dict[int, LabelClass] = {}
    for file in files:
        for known in file.categories.values():
            other = table.setdefault(known.values[0], known)
            if other.name != known.name:
                raise DataError(
                    describe(
                        "Two COCO files mean different classes by one id",
                        where=str(file.path),
                        found=f"category {known.values[0]} is {known.name!r} here and {other.name!r} before",
                        mend="Number the categories alike in all files.",
                    )
                )
    if not table:
        raise ConfigError(f"{files[0].path} lists no category.")
    return tuple(table[value] for value in sorted(table))
