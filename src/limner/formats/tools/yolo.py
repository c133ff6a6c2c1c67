"""YOLO's text files: each line has a class number and a box or polygon in fractions of width and height."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from typing import ClassVar

from limner.core.clipping import clip_polygon
from limner.core.sample import Record
from limner.formats.drawn import Drawn, Shape
from limner.formats.file_tree import FileTree, list_files
from limner.formats.name_index import NameIndex
from limner.formats.problems import Problems, Report
from limner.formats.shapes.annotation_files import AnnotationFiles, LabelFile
from limner.formats.shapes.valid_shapes import valid_shapes
from limner.formats.split_lists import SplitPlaces, lists_beside
from limner.storage.json_files import JsonObject, as_shown, as_text, ends
from limner.storage.text_files import read_lines, read_text
from limner.storage.usable_numbers import number_of
from limner.storage.yaml_files import read_yaml

BORDER = 0.002
"""Fraction of a side that a number may be outside 0 to 1 without a finding, since tools round."""

MOST_FRACTION = 2.5
"""Coordinates beyond this are no fractions of a side, however far outside a shape was drawn."""

_WORDS_OF_A_BOX = 5
MOST_OF_A_BOX = 6
"""Words of a line with a class, a box and a confidence."""

MAX_LOOKED_AT = 20
_INDEX = re.compile(r"0|[1-9]\d{0,8}", re.ASCII)
NAME_FILES = ("classes.txt", "obj.names", "_darknet.labels")
PREDEFINED = "predefined_classes.txt"
"""The list that labelImg offers, of which a dataset may use a part in another order."""
_DATA_FILES = ("data.yaml", "data.yml")
_SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


class Yolo(AnnotationFiles):
    """Boxes, and polygons for segmentation; an image without a text file has no objects."""

    name = "yolo"
    title = "a text file for each image, in labels/ beside images/ or beside the image; data.yaml"
    suffix: ClassVar[str] = ".txt"
    files_called: ClassVar[str] = "text files of YOLO"
    is_relative: bool = True
    bare_image_is_empty: ClassVar[bool] = True

    @classmethod
    def label_files(cls, root: Path, tree: FileTree) -> Sequence[PurePosixPath]:
        """Return the text files of labels if one of the first that are named after an image is YOLO's."""
        if "yolo" not in tree.remembered:
            tree.remembered["yolo"] = _label_files(root, tree)
        found: Sequence[PurePosixPath] = tree.remembered["yolo"]
        return found

    def read_file(self, path: PurePosixPath, problems: Problems) -> LabelFile:
        """Parse one file.

        Raises:
            DataError: It cannot be read, or is no text.
        """
        lines = read_lines(self.root / path, what="The YOLO labels")
        drawn = []
        rows = {number: words for number, line in enumerate(lines, start=1) if (words := line.split())}
        # With the class, each line has an odd number of words, and an even one with a confidence at the end.
        confident = all(len(words) % 2 == 0 and _is_confidence(words[-1]) for words in rows.values())
        # A pose starts with the box; its key points would pass for a polygon.
        are_poses = "kpt_shape" in self._data or _are_poses([*rows.values()])
        for number, words in rows.items():
            name = f"line {number}"
            report = problems.at(f"{path}, {name}", file=str(path))
            ends_so = confident and len(words) > MOST_OF_A_BOX
            used = words[:_WORDS_OF_A_BOX] if are_poses else words[:-1] if ends_so else words
            if one := self._object(used, name, report):
                drawn.append(one)
        return LabelFile(drawn)

    def _object(self, words: list[str], name: str, report: Report) -> Drawn | None:
        numbers = [number_of(word) for word in words]
        known = [number for number in numbers if number is not None]
        if len(known) < len(words) or len(words) < 5 or known[0] < 0 or known[0] % 1:
            report(
                "annotation-malformed", f"{' '.join(words)[:60]!r}: no class number with a box or a polygon"
            )
            return None
        label = self._label(int(known[0]), report)
        shape = _shape(known[1:], report)
        if label is None or shape is None:
            return None
        shapes = valid_shapes([shape], None, report)
        return Drawn(self.number_of(label), shapes, name=name) if shapes else None

    def _label(self, index: int, report: Report) -> str | None:
        names = self._names
        if names and index not in names:
            report("class-beyond-names", f"class {index}, and names for {min(names)} to {max(names)}")
            return None
        return names.get(index, f"class {index}")

    def class_order(self, names: Iterable[str]) -> list[str]:
        """Return the classes in the order of YOLO's numbers."""
        listed = list(self._names.values())
        return listed or sorted(names, key=lambda name: int(re.sub(r"\D", "", name) or 0))

    def gather(self, tree: FileTree, problems: Problems) -> Iterator[Record]:
        """Yield the records, and report a data.yaml whose names cannot be used.

        Other YAML files matter only if nothing names the classes.
        """
        yield from super().gather(tree, problems)
        is_named = bool(self._names)  # reads all that may be unusable
        for path, found in self._unusable.items():
            if not is_named or PurePosixPath(path).name in _DATA_FILES:
                problems.add("names-unreadable", path, found)
        for place, names in () if self.settings.classes else self._lists_of_names():
            number = next((i for i, name in names.items() if self._names.get(i, name) != name), None)
            if number is not None:
                found = f"class {number} is {names[number]!r} here, and read as {self._names[number]!r}"
                problems.add("name-lists-differ", str(place), found)

    @cached_property
    def _unusable(self) -> dict[str, str]:
        """File -> why its names cannot be used."""
        return {}

    @cached_property
    def _data(self) -> JsonObject:
        """The content of data.yaml; empty without one."""
        for path in list_files(self.root).others:
            if path.suffix.casefold() in (".yaml", ".yml") and path.name != "dataset.yaml":
                try:
                    found = read_yaml(self.root / path)
                except ValueError as error:
                    self._unusable[str(path)] = str(error)
                    continue
                if "names" in found:
                    if not _names_in(found):
                        self._unusable[str(path)] = f"`names` is {as_shown(found.value('names'))}"
                    return found
        return JsonObject()

    @cached_property
    def _names(self) -> dict[int, str]:
        """Class number -> name; empty if no file names the classes."""
        if names := _names_in(self._data):
            return names
        lists = chain(self._lists_of_names(), self._lists_of_names((PREDEFINED,)))
        return next((names for _, names in lists), {})

    def _lists_of_names(
        self, files: Sequence[str] = NAME_FILES
    ) -> Iterator[tuple[PurePosixPath, dict[int, str]]]:
        """Yield the lists in files that are called so: class number -> name, one name a line."""
        for path in list_files(self.root).others:
            if path.name in files:
                try:
                    lines = read_text(self.root / path).splitlines()
                except (OSError, ValueError) as error:
                    self._unusable[str(path)] = str(error)
                    continue
                yield path, {index: name.strip() for index, name in enumerate(lines) if name.strip()}

    def split_lists(self, tree: FileTree, records: tuple[Record, ...]) -> SplitPlaces:
        """Return the folders or lists in data.yaml, unless folder names give the splits already.

        Small datasets name one folder for both training and validation, which is no split.
        """
        if any(record.split for record in records):
            return {}
        said: dict[str, tuple[str, ...]] = {}
        for key, split in _SPLITS.items():
            places = self._data.texts(key) or [self._data.text(key)]
            if found := tuple(filter(None, map(self._place, places))):
                said.setdefault(split, found)
        divides = "train" in said and said["train"] != said.get("val")
        return said if divides else lists_beside(tree, records)

    def _place(self, place: str) -> str:
        """Return a folder or list of data.yaml that exists; its path may start on another machine."""
        parts = [
            part for part in PurePosixPath(place.replace("\\", "/")).parts if part not in (".", "..", "/")
        ]
        ways = ("/".join(parts[start:]) for start in range(len(parts)))
        return next((way for way in ways if way and os.path.exists(self.root / way)), "")  # noqa: PTH110


def _names_in(data: JsonObject) -> dict[int, str]:
    """Return class number -> name from a list or a numbered mapping; nothing if one of them is no name."""
    if data.has_list("names"):
        names = {str(index): as_text(name) for index, name in enumerate(data.items("names"))}
    else:
        numbered = data.child("names")
        names = {key: numbered.text(key) for key in numbered.names}
    if not all(_INDEX.fullmatch(key) and name for key, name in names.items()):
        return {}
    return {index: names[str(index)] for index in sorted(map(int, names))}


def _has_names(root: Path, tree: FileTree) -> bool:
    """Tell whether data.yaml names the classes."""
    for path in tree.others:
        if path.name in _DATA_FILES:
            with suppress(ValueError):
                return "names" in read_yaml(root / path)
    return False


def _label_files(root: Path, tree: FileTree) -> Sequence[PurePosixPath]:
    """Return the text files of images, and those with YOLO's lines whose image is not there."""
    texts = [path for path in tree.others if path.suffix.casefold() == Yolo.suffix]
    stems = {path.stem for path in tree.images}
    files = [path for path in texts if path.stem in stems]
    if not files and texts:  # capitals or accents may differ
        names = NameIndex((path.stem, path) for path in tree.images)
        files = [path for path in texts if names.find(path.stem)]
    # Hundreds of empty files, of images without objects, may come first.
    filled = islice((path for path in files if (root / path).stat().st_size), MAX_LOOKED_AT)
    first = [root / path for path in filled]
    if any(map(_is_yolo, first)):
        known = {*files}
        return [path for path in texts if path in known or _is_yolo(root / path)]
    # Coordinates in pixels are an error, which is reported where data.yaml says that this is YOLO.
    in_pixels = any(_is_yolo(path, in_pixels=True) for path in first)
    return files if in_pixels and _has_names(root, tree) else ()


def _is_yolo(path: Path, *, in_pixels: bool = False) -> bool:
    """Tell whether the first line has a class number and four or more numbers, most of them 0 to 1.

    With `in_pixels`, the numbers may be any.
    """
    lines = ends(path).decode("utf-8", "replace").splitlines()
    words = next((line for line in lines if line.strip()), "").split()
    numbers = [number for word in words if (number := number_of(word)) is not None]
    return (
        len(numbers) == len(words) >= 5 and numbers[0] % 1 == 0 and (in_pixels or _mostly_parts(numbers[1:]))
    )


def _are_poses(rows: Sequence[Sequence[str]]) -> bool:
    """Tell whether each line has a box and key points, two or more, with 0, 1 or 2 for their visibility."""
    return bool(rows) and len({*map(len, rows)}) == 1 and all(map(_is_pose, rows))


def _is_pose(words: Sequence[str]) -> bool:
    points = len(words) - _WORDS_OF_A_BOX
    numbers = [number for word in words if (number := number_of(word)) is not None]
    if points < 6 or points % 3 or len(numbers) < len(words):
        return False
    x, y, width, height = numbers[1:_WORDS_OF_A_BOX]
    seen = [point for point in zip(*(numbers[i::3] for i in (5, 6, 7)), strict=True) if point[2]]
    across = max((abs(point[0] - x) for point in seen), default=0)
    down = max((abs(point[1] - y) for point in seen), default=0)
    is_inside = 2 * across <= width + BORDER and 2 * down <= height + BORDER
    return min(width, height) > 0 and {*numbers[7::3]} <= {0, 1, 2} and is_inside


def _is_confidence(word: str) -> bool:
    number = number_of(word)
    return number is not None and 0 <= number <= 1


def _mostly_parts(numbers: Sequence[float]) -> bool:
    return 2 * sum(-0.1 <= number <= 1.1 for number in numbers) > len(numbers)


def _shape(numbers: list[float], report: Report) -> Shape | None:
    """Read a box (with or without a confidence) or a polygon, clipped at the border."""
    if len(numbers) <= 5:
        x, y, width, height = numbers[:4]
        corners = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    elif len(numbers) % 2:
        report("annotation-malformed", f"a polygon of {len(numbers)} numbers, which is odd")
        return None
    else:
        corners = numbers
    kind = "box" if len(numbers) <= 5 else "polygon"
    if min(corners) < 1 - MOST_FRACTION or max(corners) > MOST_FRACTION:
        report("coordinates-in-pixels", f"a {kind} from {min(corners):g} to {max(corners):g}")
        return None
    if min(corners) < -BORDER or max(corners) > 1 + BORDER:
        report("value-outside-0-1", f"a {kind} from {min(corners):g} to {max(corners):g}")
    if kind == "polygon":
        return Shape("polygon", clip_polygon(corners, 1.0, 1.0))
    return Shape("box", [min(1.0, max(0.0, corner)) for corner in corners])
