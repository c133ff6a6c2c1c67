"""COCO's JSON files: recognised without being parsed, read once, and its images found on disk."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import urlparse

from limner.core.errors import ConfigError, DataError, describe
from limner.core.labels import LabelClass, distinct_color
from limner.formats.coco.coco_annotation_list import AnnotationList, read_lists
from limner.formats.file_tree import FileTree
from limner.formats.name_index import NameIndex
from limner.formats.problems import Problems
from limner.storage.json_files import ends, unreadable

Id = int | str
"""COCO's ids are numbers; other tools also write text."""

MOST_SNIFFED = 50
"""Of more JSON files than this only the largest are looked at: a file an image is another layout."""

_SPLIT_WORDS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
_SPLIT_WORDS |= {"val": "val", "valid": "val", "validation": "val"}


class CocoImage(NamedTuple):
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
        annotations: One after another as they are in the file; parsed when they are asked for.
    """

    path: PurePosixPath
    images: dict[Id, CocoImage]
    categories: dict[Id, LabelClass]
    annotations: AnnotationList

    @property
    def split(self) -> str | None:
        """The split that the file's own name or its folders say."""
        for part in (self.path.stem, *reversed(self.path.parts[:-1])):
            words = re.findall(r"[a-z]+", part.casefold())
            said = {_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS}
            if len(said) == 1:
                return said.pop()
        return None


def sniff(root: Path, tree: FileTree) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Yield the JSON files that look like COCO's, with the bytes of both ends."""
    files = [path for path in tree.others if path.suffix.casefold() == ".json"]
    if len(files) > MOST_SNIFFED:
        files = sorted(files, key=lambda path: -(root / path).stat().st_size)[:MOST_SNIFFED]
    for path in sorted(files):
        both = ends(root / path)
        listed = b'"images"' in both or b'"annotations"' in both
        named = b'"file_name"' in both or b'"image_id"' in both or b'"coco_url"' in both
        if b'"categories"' in both and listed and named:
            yield path, both


def nothing_listed(root: Path, tree: FileTree, wanted: str) -> DataError:
    """Return the error of a folder that is said to hold COCO labels and has no such JSON."""
    files = [str(root / path) for path in tree.others if path.suffix.casefold() == ".json"]
    return DataError(
        describe(
            f"No JSON file here lists {wanted}",
            where=files[0] if files else root,
            found=f"{len(files)} JSON files" if files else "no JSON file",
            expected=EXPECTED,
            fix="Export it again, or take `format` out of dataset.yaml.",
        )
    )


def read_coco(root: Path, path: PurePosixPath, problems: Problems) -> CocoFile:
    """Parse one file.

    Raises:
        DataError: It is no JSON, or lacks one of the three lists.
    """
    try:
        whole, annotations = read_lists(root / path)
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(root / path, str(error)) from None
    rows = {name: _rows(whole, name, root / path) for name in ("images", "categories")}
    listed = (row.get(key) for group in rows.values() for row in group for key in ID_KEYS)
    if annotations.has_text_ids or any(isinstance(value, str) for value in listed):
        problems.add("ids-are-text", str(path), "ids are written as text")
    images: dict[Id, CocoImage] = {}
    for row in rows["images"]:
        image = _image(row, root / path)
        if image.id in images:
            other = images[image.id].file_name
            problems.add("image-listed-twice", f"{path}, image {image.id}", f"{other} and {image.file_name}")
        images.setdefault(image.id, image)
        if row.get("not_exhaustive_category_ids"):
            problems.add(
                "not-exhaustive", f"{path}, image {image.id}", f"not all objects of {image.file_name}"
            )
    return CocoFile(path, images, _categories(rows["categories"], path, problems), annotations)


WHAT = "The COCO annotations"
EXPECTED = "JSON with the lists `images`, `annotations` and `categories`"
ID_KEYS = ("id", "image_id", "category_id")


def plain_id(value: object) -> Id | None:
    """Return an id as a number where it spells one, as text else, None where it is neither."""
    if type(value) is int:  # nearly all of a million
        return value
    if isinstance(value, bool) or not isinstance(value, str | float):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return int(value) if isinstance(value, str) and value.strip().isdecimal() else value


def _rows(whole: dict[str, Any], name: str, path: Path) -> list[dict[str, Any]]:
    rows = whole.get(name)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        found = f"no list `{name}`" if name not in whole else f"`{name}` is not a list of objects"
        raise _unreadable(path, found)
    return rows


def _unreadable(path: Path, found: str) -> DataError:
    return unreadable(path, what=WHAT, found=found, expected=EXPECTED)


def _image(row: dict[str, Any], path: Path) -> CocoImage:
    number, name = plain_id(row.get("id")), row.get("file_name") or _of_url(row.get("coco_url"))
    if number is None or not isinstance(name, str) or not name:
        raise _unreadable(path, f"an image without `id` or `file_name`: {str(row)[:80]}")
    return CocoImage(number, name.replace("\\", "/"), _side(row.get("height")), _side(row.get("width")))


def _side(value: object) -> int | None:
    side = plain_id(value)
    return side if isinstance(side, int) and side > 0 else None


def _of_url(url: object) -> str:
    """Return folder and name of an image that LVIS names by its address alone."""
    return "/".join(urlparse(url).path.split("/")[-2:]) if isinstance(url, str) else ""


def _categories(
    rows: Sequence[dict[str, Any]], path: PurePosixPath, problems: Problems
) -> dict[Id, LabelClass]:
    """Return id -> class in the order of the ids; where ids are words, their places stand for them."""
    found: dict[Id, tuple[str, bool | None]] = {}
    names: set[str] = set()
    for row in rows:
        number, name = plain_id(row.get("id")), str(row.get("name", "")) or f"category {row.get('id')}"
        where = f"{path}, category {row.get('id')}"
        if number is None:
            problems.add("category-unknown", where, "a category without an id")
        elif number in found or name in names:
            problems.add("category-listed-twice", where, f"{name!r} repeats an id or a name")
        else:
            is_thing = row.get("isthing")
            found[number] = name, None if is_thing is None else bool(is_thing)
            names.add(name)
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
        self._by_name = NameIndex((path.name, path) for path in paths)

    def all(self) -> Iterator[PurePosixPath]:
        """Return every path, those of one name together."""
        return self._by_name.files()

    def find(self, file_name: str, *, near: Iterable[str] = ()) -> PurePosixPath | None:
        """Return the file whose path ends like `file_name`, or bears its bare name; None without one.

        Args:
            file_name: As the JSON has it.
            near: Folder names and words that are preferred, such as the split, strongest first.
        """
        same = self._by_name.find(file_name.rpartition("/")[2])
        if len(same) == 1:
            return same[0]
        wanted = PurePosixPath(file_name)
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
                        fix="Number the categories alike in all files.",
                    )
                )
    if not table:
        raise ConfigError(f"{files[0].path} lists no category.")
    return tuple(table[value] for value in sorted(table))


def rows_of_classes(classes: Iterable[LabelClass]) -> list[list[Any]]:
    """Return a table of categories as what JSON can hold."""
    return [[c.name, c.values[0], c.color, c.is_thing] for c in classes]


def classes_of_rows(rows: Iterable[Sequence[Any]]) -> tuple[LabelClass, ...]:
    """Return the table that `rows_of_classes` wrote down."""
    return tuple(
        LabelClass(name, (value,), (color[0], color[1], color[2]), is_thing)
        for name, value, color, is_thing in rows
    )
