"""Boxes in a CSV: an image, a class and four numbers in each row, by any of the usual headings.

Where headings leave open what the four numbers are, the readings are tried on all boxes; if more than one
fits, nothing is guessed.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import ClassVar, NamedTuple

from limner.core.errors import DataError, describe
from limner.core.sample import Record
from limner.formats.drawn import Drawn, Shape
from limner.formats.file_tree import FileTree
from limner.formats.image_finder import ImageFinder
from limner.formats.problems import Problems, Report
from limner.formats.shapes.listed_images import Drawing, Listed, ListedImages
from limner.formats.shapes.valid_shapes import stated_size, valid_shapes
from limner.formats.tools.run_length_csv import CLASS_COLUMNS, NO_CLASS, class_column
from limner.images.file_names import is_image_name
from limner.images.read_image import image_header
from limner.storage.csv_files import Table, read_csv, table_of
from limner.storage.json_files import unreadable
from limner.storage.text_files import read_lines
from limner.storage.usable_numbers import number_of

WHAT = "The table of boxes"
EXPECTED = "a heading with the image, the class and xmin, ymin, xmax, ymax"
_IMAGE_COLUMNS = (
    *("filename", "file_name", "image", "image_id", "imageid", "image_name", "image_path", "img", "path"),
    *("file", "filepath", "frame", "id"),
)
Box = tuple[float, float, float, float]
_READINGS: dict[str, Callable[[Box], Box]] = {
    "corners": lambda b: b,
    "corner and size": lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]),
    "centre and size": lambda b: (b[0] - b[2] / 2, b[1] - b[3] / 2, b[0] + b[2] / 2, b[1] + b[3] / 2),
}
_FAMILIES: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("xmin", "ymin", "xmax", "ymax"), ("corners",)),
    (("x_min", "y_min", "x_max", "y_max"), ("corners",)),
    (("x1", "y1", "x2", "y2"), ("corners",)),
    (("left", "top", "right", "bottom"), ("corners",)),
    (("left", "top", "width", "height"), ("corner and size",)),
    (("x_center", "y_center", "width", "height"), ("centre and size",)),
    (("xmin", "ymin", "width", "height"), ("corner and size",)),
    (("x", "y", "w", "h"), ("corner and size", "centre and size")),
    (("x", "y", "width", "height"), ("corner and size", "centre and size")),
    (("bbox_x", "bbox_y", "bbox_width", "bbox_height"), ("corner and size", "centre and size")),
)
"""Headings of the four numbers, and what they can be."""

_TOLERANCE = 1.0
"""Pixels that a box may reach outside its image, since tools round."""
_FRACTION_BEYOND = 0.5
"""How far fractions of a side may be outside 0 to 1: no box in pixels is that small."""
_ROUNDED = 0.002
"""How far they may be outside without a finding, since tools round."""
_MAX_MEASURED = 200
_MAX_LOOKED_AT = 5


class _Columns(NamedTuple):
    """Columns of a table: image, class or None, the four numbers (or one with all), readings, image size."""

    image: int
    label: int | None
    numbers: tuple[int, ...]
    readings: tuple[str, ...]
    size: tuple[int, int] | None


_Images = dict[str, dict[int, tuple[list[str], Box | None]]]
"""Image -> line number -> the cells, and the four numbers in the order of the columns."""


class BoxesCsv(ListedImages):
    """Boxes in a table, for detection."""

    name = "boxes-csv"
    title = "a CSV of boxes: filename, class, xmin, ymin, xmax, ymax (or bbox), with the images beside it"
    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv")

    @classmethod
    def is_one(cls, both: bytes) -> bool:
        """Tell by the heading; a table without one begins with an image, four numbers and a class."""
        head = both[: 1 << 16].decode("utf-8", "replace").splitlines()[:_MAX_LOOKED_AT]
        try:
            return _columns(table_of(head, has_heading=not _is_bare(head))) is not None
        except ValueError:
            return False

    def gather(self, tree: FileTree, problems: Problems) -> Iterator[Record]:
        """Find out what the four numbers are, then yield the records."""
        files = self.label_files(self.root, tree) or self.candidates(tree)
        self._tables = {path: self._read(path) for path in files}  # until they are listed
        every = [box for _, images in self._tables.values() for box in _boxes(images)]
        low, high = -_FRACTION_BEYOND, 1 + _FRACTION_BEYOND
        self.is_relative = bool(every) and all(low <= number <= high for box in every for number in box)
        self._reading_of = {
            path: self._fitting(path, columns, images, ImageFinder(tree.images, by_stem=True))
            for path, (columns, images) in self._tables.items()
        }
        yield from super().gather(tree, problems)
        self._tables = {}

    def listed(self, path: PurePosixPath, tree: FileTree) -> Iterator[Listed]:
        """Yield the images of one file with their rows."""
        columns, images = self._tables[path]
        for image, rows in images.items():
            yield Listed([image], f"{path}, {image}", (self._reading_of[path], columns, rows))

    def draw(self, listed: Listed, image: PurePosixPath, problems: Problems) -> Drawing:
        """Return the boxes of an image, and its size if the table has it."""
        reading, columns, rows = listed.item
        drawn, size = [], None
        for number, (row, box) in rows.items():
            report = problems.at(f"{listed.where}, line {number}", file=str(image))
            if columns.size:
                size = stated_size(*(number_of(row[column]) for column in columns.size))
            if box is None:
                if any(row[column] for column in columns.numbers):  # else an image without objects
                    report("annotation-malformed", f"no box: {', '.join(row)[:60]}")
                continue
            corners = _READINGS[reading](box)
            if self.is_relative:
                corners = _inside(corners, report)
            name = (row[columns.label] if columns.label is not None else "") or NO_CLASS
            if shapes := valid_shapes([Shape("box", corners)], None if self.is_relative else size, report):
                drawn.append(Drawn(self.number_of(name), shapes, name=f"line {number}"))
        return drawn, size

    def _read(self, path: PurePosixPath) -> tuple[_Columns, _Images]:
        bare = _is_bare(read_lines(self.root / path, what=WHAT)[:_MAX_LOOKED_AT])
        table = read_csv(self.root / path, what=WHAT, has_heading=not bare)
        columns = _columns(table)
        if columns is None:
            found = ", ".join(table.heading)[:200]
            raise unreadable(self.root / path, what=WHAT, found=found, expected=EXPECTED)
        images: _Images = {}
        for number, row in table.rows.items():
            box = _box([row[column] for column in columns.numbers])
            images.setdefault(row[columns.image].replace("\\", "/"), {})[number] = row, box
        return columns, images

    def _fitting(self, path: PurePosixPath, columns: _Columns, images: _Images, finder: ImageFinder) -> str:
        """Return the only reading by which all boxes lie in their images.

        Raises:
            DataError: Several readings fit.
        """
        if len(columns.readings) == 1:
            return columns.readings[0]
        fits = {reading: True for reading in columns.readings}
        for image in islice(images, _MAX_MEASURED):
            file = finder.find(image)
            height, width = (1, 1) if self.is_relative or file is None else _size(self.root / file)
            if not height:
                continue
            for box in _boxes({image: images[image]}) if file else ():
                for reading in columns.readings:
                    fits[reading] &= _lies_inside(_READINGS[reading](box), height, width)
        left = [reading for reading, does in fits.items() if does] or list(fits)
        if len(left) == 1:
            return left[0]
        raise DataError(
            describe(
                "The numbers of the boxes can be read in several ways",
                where=self.root / path,
                found=" or ".join(left),
                expected="headings that say which they are",
                fix="Name the columns xmin, ymin, xmax, ymax; or left, top, width, height; or x_center, "
                "y_center, width, height.",
            )
        )


def _boxes(images: _Images) -> Iterator[Box]:
    return (box for rows in images.values() for _, box in rows.values() if box)


def _box(cells: Sequence[str]) -> Box | None:
    words = re.split(r"[,;\s]+", cells[0].strip("[]() ")) if len(cells) == 1 else cells
    numbers = [number for word in words if (number := number_of(word)) is not None]
    return (numbers[0], numbers[1], numbers[2], numbers[3]) if len(numbers) == len(words) == 4 else None


def _size(path: Path) -> tuple[int, int]:
    try:
        height, width = image_header(path).shape
    except DataError:  # a finding of its own
        return 0, 0
    return height, width


def _lies_inside(box: Box, height: int, width: int) -> bool:
    left, top, right, bottom = box
    slack = _TOLERANCE if max(height, width) > 1 else 0.01
    return min(left, top) >= -slack and left < right <= width + slack and top < bottom <= height + slack


def _is_bare(lines: Sequence[str]) -> bool:
    """Tell whether a table has no heading: an image, four numbers and a class, or an image alone."""
    rows = [*table_of(lines, has_heading=False).rows.values()]
    return any(map(_is_row, rows)) and (_is_row(rows[0]) or _is_empty_row(rows[0]))


def _is_row(cells: Sequence[str]) -> bool:
    is_image = is_image_name(cells[0])
    return is_image and len(cells) == 6 and all(number_of(cell) is not None for cell in cells[1:5])


def _is_empty_row(cells: Sequence[str]) -> bool:
    """Tell whether a row says that an image shows no object."""
    return is_image_name(cells[0]) and len(cells) == 6 and not any(cells[1:])


def _inside(box: Box, report: Report) -> Box:
    """Clip a box in fractions at the border of its image."""
    if min(box) < -_ROUNDED or max(box) > 1 + _ROUNDED:
        report("value-outside-0-1", f"a box from {min(box):g} to {max(box):g}")
    left, top, right, bottom = (min(1.0, max(0.0, number)) for number in box)
    return left, top, right, bottom


def _columns(table: Table) -> _Columns | None:
    """Return the meaning of the columns; None if it is no table of boxes."""
    if not table.heading:
        rows = [*table.rows.values()]
        return _Columns(0, 5, (1, 2, 3, 4), ("corners",), None) if any(map(_is_row, rows)) else None
    image = table.column(*_IMAGE_COLUMNS)
    if image is None:
        return None
    label = class_column(table, CLASS_COLUMNS, others=(image,))
    for names, readings in _FAMILIES:
        found = [table.column(name) for name in names]
        numbers = tuple(column for column in found if column is not None)
        if len(numbers) == len(names):
            sides = [table.column(side) for side in ("height", "width")]
            size = tuple(side for side in sides if side is not None and side not in numbers)
            return _Columns(image, label, numbers, readings, (size[0], size[1]) if len(size) == 2 else None)
    together = table.column("bbox", "box", "bounding_box")
    if together is None:
        return None
    return _Columns(image, label, (together,), ("corners", "corner and size"), None)
