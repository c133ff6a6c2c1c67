"""COCO's JSON files: recognised without being parsed, read once, and its images found on disk."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import urlparse

from limner.core.errors import ConfigError, DataError, describe
from limner.core.labels import LabelClass, distinct_color
from limner.formats.coco.coco_annotation_list import AnnotationList, read_lists
from limner.formats.file_tree import FileTree
from limner.formats.problems import Problems
from limner.formats.shapes.valid_shapes import stated_size
from limner.storage.json_files import MAX_SNIFFED, JsonObject, as_shown, ends, unreadable

Id = int | str
"""COCO's ids are numbers; other tools also write text."""

MAX_ID = 2**63 - 1
"""Ids are compared in arrays of 64 bits, and those of categories are mask values."""

_SPLIT_WORDS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
_SPLIT_WORDS |= {"val": "val", "valid": "val", "validation": "val"}


class CocoImage(NamedTuple):
    """One image in the JSON.

    Attributes:
        id: Its id.
        file_name: Its file.
        height: None if the file does not state it, like the following.
        width: In pixels.
        absent: In LVIS, the categories of which it is known that the image has no object.
        partial: In LVIS, the categories of which not all objects are drawn.
    """

    id: Id
    file_name: str
    height: int | None
    width: int | None
    absent: tuple[Id, ...] | None = None
    partial: tuple[Id, ...] = ()


@dataclass(frozen=True)
class CocoFile:
    """One parsed file.

    Attributes:
        path: Relative to the dataset folder.
        images: Id -> image.
        categories: Id -> class with its mask values.
        annotations: In the order of the file; parsed on demand.
    """

    path: PurePosixPath
    images: dict[Id, CocoImage]
    categories: dict[Id, LabelClass]
    annotations: AnnotationList

    @property
    def split(self) -> str | None:
        """The split named by the file or its folders, or None."""
        for part in (self.path.stem, *reversed(self.path.parts[:-1])):
            words = re.findall(r"[a-z]+", part.casefold())
            said = {_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS}
            if len(said) == 1:
                return said.pop()
        return None


def sniff(root: Path, tree: FileTree) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Yield the JSON files that look like COCO's, with the bytes at both ends."""
    files = [path for path in tree.others if path.suffix.casefold() == ".json"]
    if len(files) > MAX_SNIFFED:
        files = sorted(files, key=lambda path: -(root / path).stat().st_size)[:MAX_SNIFFED]
    for path in sorted(files):
        both = ends(root / path)
        listed = b'"images"' in both or b'"annotations"' in both
        named = b'"file_name"' in both or b'"image_id"' in both or b'"coco_url"' in both
        if b'"categories"' in both and listed and named:
            yield path, both


def nothing_listed(root: Path, tree: FileTree, wanted: str) -> DataError:
    """Return the error for a folder without COCO JSON whose `dataset.yaml` names that format."""
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
        lists, annotations = read_lists(root / path)
    except (OSError, ValueError) as error:
        raise _unreadable(root / path, str(error)) from None
    except RecursionError:
        raise _unreadable(root / path, "lists or objects nested too deeply") from None
    whole = JsonObject(lists)
    rows = {name: _rows(whole, name, root / path) for name in ("images", "categories")}
    listed = (row.value(key) for group in rows.values() for row in group for key in ID_KEYS)
    if annotations.has_text_ids or any(isinstance(value, str) for value in listed):
        problems.add("ids-are-text", str(path), "ids are written as text")
    images: dict[Id, CocoImage] = {}
    for row in rows["images"]:
        image = _image(row, root / path)
        if image.id in images:
            other = images[image.id].file_name
            problems.add("image-listed-twice", f"{path}, image {image.id}", f"{other} and {image.file_name}")
        images.setdefault(image.id, image)
        if row.is_set("not_exhaustive_category_ids"):
            problems.add(
                "not-exhaustive", f"{path}, image {image.id}", f"not all objects of {image.file_name}"
            )
    return CocoFile(path, images, _categories(rows["categories"], path, problems), annotations)


WHAT = "The COCO annotations"
EXPECTED = "JSON with the lists `images`, `annotations` and `categories`"
ID_KEYS = ("id", "image_id", "category_id")


def plain_id(value: object) -> Id | None:
    """Return an id as a number if it spells one of up to 64 bits, else as text; None if it is neither."""
    if type(value) is int:  # nearly all of a million
        return value if -MAX_ID <= value <= MAX_ID else None
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) <= MAX_ID else None
    if not isinstance(value, str):
        return None
    is_whole = value.strip().isdecimal() and len(value) <= len(str(MAX_ID))
    return int(value) if is_whole and int(value) <= MAX_ID else value


def _rows(whole: JsonObject, name: str, path: Path) -> list[JsonObject]:
    if not all(isinstance(row, dict) for row in whole.items(name)) or not whole.has_list(name):
        found = f"`{name}` is not a list of objects" if name in whole else f"no list `{name}`"
        raise _unreadable(path, found)
    return whole.children(name)


def _unreadable(path: Path, found: str) -> DataError:
    return unreadable(path, what=WHAT, found=found, expected=EXPECTED)


def _image(row: JsonObject, path: Path) -> CocoImage:
    number, name = plain_id(row.value("id")), row.text("file_name") or _of_url(row.text("coco_url"))
    if number is None or not name:
        raise _unreadable(path, f"an image without `id` or `file_name`: {row}")
    size = stated_size(_side(row.value("height")), _side(row.value("width")))
    height, width = size or (None, None)
    federated = "neg_category_ids" in row
    absent = _ids(row, "neg_category_ids") if federated else None
    partial = _ids(row, "not_exhaustive_category_ids")
    return CocoImage(number, name.replace("\\", "/"), height, width, absent, partial)


def _ids(row: JsonObject, key: str) -> tuple[Id, ...]:
    return tuple(number for value in row.items(key) if (number := plain_id(value)) is not None)


def _side(value: object) -> float | None:
    side = plain_id(value)
    return side if isinstance(side, int) else None


def _of_url(url: str) -> str:
    """Return folder and name of an image that LVIS names by its address alone."""
    try:
        return "/".join(urlparse(url).path.split("/")[-2:])
    except ValueError:  # brackets that are no address of IPv6
        return ""


def _categories(rows: Sequence[JsonObject], path: PurePosixPath, problems: Problems) -> dict[Id, LabelClass]:
    """Return id -> class in the order of the ids; if ids are words, their positions serve as mask values."""
    found: dict[Id, tuple[str, bool | None]] = {}
    names: set[str] = set()
    for row in rows:
        number = plain_id(row.value("id"))
        name = row.text("name") or f"category {number}"
        where = f"{path}, category {as_shown(row.value('id'))}"
        if number is None:
            problems.add("category-unknown", where, "a category without an id")
        elif number in found or name in names:
            problems.add("category-listed-twice", where, f"{name!r} repeats an id or a name")
        else:
            found[number] = name, None if row.value("isthing") is None else row.is_set("isthing")
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


def one_numbering(
    files: Sequence[CocoFile], problems: Problems
) -> tuple[list[CocoFile], tuple[LabelClass, ...]]:
    """Return the files with one mask value for each category name, and the table of all categories.

    Exports of several jobs may number the same categories differently. Then categories with the same name
    are one class, and their values are numbered anew, from 1, in the order of the files.

    Raises:
        ConfigError: There is no category at all.
    """
    listed = [(file, known) for file in files for known in file.categories.values()]
    if not listed:
        raise ConfigError(f"{files[0].path} lists no category.")
    first: dict[int, tuple[LabelClass, PurePosixPath]] = {}
    clash = False
    for file, known in listed:
        other, path = first.setdefault(known.values[0], (known, file.path))
        if other.name != known.name:
            clash = True
            where = f"{file.path}, category {known.values[0]}"
            found = f"{known.name!r} here and {other.name!r} in {path}"
            problems.add("categories-numbered-differently", where, found)
    if not clash:
        return list(files), tuple(first[value][0] for value in sorted(first))
    classes: dict[str, LabelClass] = {}
    for _, known in listed:
        value = len(classes) + 1
        classes.setdefault(known.name, replace(known, values=(value,), color=distinct_color(value)))
    anew = [
        replace(file, categories={key: classes[known.name] for key, known in file.categories.items()})
        for file in files
    ]
    return anew, tuple(classes.values())


def rows_of_classes(classes: Iterable[LabelClass]) -> list[list[Any]]:
    """Return a table of categories as JSON-ready values."""
    return [[c.name, c.values[0], c.color, c.is_thing] for c in classes]


def classes_of_rows(rows: Iterable[Sequence[Any]]) -> tuple[LabelClass, ...]:
    """Return the table from the rows of `rows_of_classes`."""
    return tuple(
        LabelClass(name, (value,), (color[0], color[1], color[2]), is_thing)
        for name, value, color, is_thing in rows
    )
