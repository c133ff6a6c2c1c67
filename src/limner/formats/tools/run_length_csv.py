"""Run lengths in a CSV, as on Kaggle: an image, perhaps a class, and pairs of start and length.

Pixels are counted from 1, or from 0 if a run starts there; from top to bottom and then from left to right, or
by rows. Runs of rows lie below each other, and runs of columns beside each other, which tells them apart
unless all images are square.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import PurePosixPath
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from limner.core.errors import DataError
from limner.core.sample import Record
from limner.core.segments import Segments
from limner.formats.drawn import Drawn, Shape, runs_of_mask
from limner.formats.file_tree import FileTree
from limner.formats.problems import Problems, Report
from limner.formats.shapes.listed_images import Drawing, Listed, ListedImages
from limner.formats.shapes.valid_shapes import stated_size
from limner.storage.csv_files import Table, read_csv, table_of
from limner.storage.json_files import unreadable
from limner.storage.usable_numbers import MAX_NUMBER, number_of

WHAT = "The table of run lengths"
EXPECTED = "a heading, and columns with the image and its runs: `1 3 10 5`"
CLASS_COLUMNS = (
    *("class_name", "classname", "label_name", "labelname", "category_name", "class", "label", "category"),
    *("cell_type", "name", "class_label", "object", "type"),
    *("class_id", "classid", "label_id", "labelid", "category_id"),
)
"""Headings of the class, in tables of objects; names before numbers."""

NO_CLASS = "object"
_IMAGE_COLUMNS = (
    *("imageid", "image_id", "image", "filename", "file_name", "img", "imageid_classid", "image_label"),
    *("id", "path", "file", "name"),
)
_RUN_COLUMNS = (
    *("encodedpixels", "encoded_pixels", "rle", "rle_mask", "mask_rle", "encoding", "segmentation"),
    *("annotation", "mask", "pixels", "runs"),
)
_SIZE_COLUMNS = (("height", "img_height", "image_height"), ("width", "img_width", "image_width"))
_RUNS = re.compile(r"\d+ +\d+(?: +\d+ +\d+)*", re.ASCII)
_EMPTY = frozenset({"", "-1", "-1 -1", "nan", "none", "null", "1 0"})
_WITH_CLASS = re.compile(r"(.+\.\w{2,5})_(.+)")
"""An image and a class in one cell, such as ``0002cc93b.jpg_1``."""

_MAX_MEASURED = 50
"""Images whose sizes are looked up to tell columns from rows."""

_CLEARLY = 1.1
"""Ratio of the pixels that lie beside each other by columns and by rows above which the order is clear."""


Places = npt.NDArray[np.int64]


class _Row(NamedTuple):
    """One row: its line, the class, the runs as written, and height and width of the image, or None."""

    number: int
    label: str
    runs: str
    size: tuple[int, int] | None


class RunLengthCsv(ListedImages):
    """Objects or regions as run lengths, one in each row; an empty cell is an image without the class."""

    name = "run-length-csv"
    title = "a CSV of run lengths, as on Kaggle: ImageId, ClassId, EncodedPixels; with the images beside it"
    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv")

    @classmethod
    def is_one(cls, both: bytes) -> bool:
        """Tell by the heading and the first rows."""
        head = both[: 1 << 16].decode("utf-8", "replace").splitlines()[:20]
        try:
            table = table_of(head)
        except ValueError:
            return False
        columns = _columns(table)
        return columns is not None and any(_starts_with_runs(row[columns[1]]) for row in table.rows.values())

    def gather(self, tree: FileTree, problems: Problems) -> Iterator[Record]:
        """Yield the records, and find out in which order and from which number pixels are counted."""
        self._first, self._is_relative = 1, False
        self._num_several, self._num_overlapping = 0, 0
        records = list(super().gather(tree, problems))
        self._is_relative = self._may_be_relative(records)
        self._by_rows = self._order(records, problems) == "rows"
        yield from records

    def listed(self, path: PurePosixPath, tree: FileTree) -> Iterator[Listed]:
        """Yield the images with their rows.

        Raises:
            DataError: It cannot be read, or has no columns of images and runs.
        """
        table = read_csv(self.root / path, what=WHAT)
        columns = _columns(table)
        if columns is None:
            raise unreadable(
                self.root / path, what=WHAT, found=", ".join(table.heading)[:200], expected=EXPECTED
            )
        sides = [table.column(*names) for names in _SIZE_COLUMNS]
        images: dict[str, list[_Row]] = {}
        for number, row in table.rows.items():
            image, label = row[columns[0]], row[columns[2]] if columns[2] is not None else ""
            if columns[2] is None and (both := _WITH_CLASS.fullmatch(image)):
                image, label = both[1], both[2]
            height, width = (number_of(row[side]) if side is not None else None for side in sides)
            size = stated_size(height, width)
            images.setdefault(image, []).append(_Row(number, label, row[columns[1]], size))
        for image, rows in images.items():
            yield Listed([image.replace("\\", "/")], f"{path}, {image}", rows)

    def draw(self, listed: Listed, image: PurePosixPath, problems: Problems) -> Drawing:
        """Return the rows of an image with their runs as written; `listed_objects` counts them out."""
        drawn, sizes = [], {row.size for row in listed.item}
        for number, label, runs, _ in listed.item:
            report = problems.at(f"{listed.where}, line {number}", file=str(image))
            if runs.casefold() in _EMPTY:
                continue
            if not _RUNS.fullmatch(runs):
                report("annotation-malformed", f"run lengths that are {runs[:40]!r}")
                continue
            numbers = [int(word) for word in runs.split()]
            if max(numbers) > MAX_NUMBER:
                report("rle-wrong-length", f"a run of {max(numbers)} pixels")
                continue
            starts, lengths = numbers[::2], numbers[1::2]
            self._first = 0 if 0 in starts else self._first
            self._num_several += len(starts) > 1
            self._num_overlapping += any(
                a + n > b for (a, b), n in zip(pairwise(starts), lengths, strict=False)
            )
            name = f"class {label}" if label.isdecimal() else label or NO_CLASS
            drawn.append(Drawn(self.number_of(name), (Shape("runs", numbers),), name=f"line {number}"))
        return drawn, sizes.pop() if len(sizes) == 1 else None  # else it is that of objects

    def class_order(self, names: Iterable[str]) -> list[str]:
        """Return the classes by their numbers if they have numbers, else alphabetically."""
        return sorted(super().class_order(names), key=lambda name: int(re.sub(r"\D", "", name)[:9] or 0))

    def listed_objects(self, record: Record) -> list[Drawn]:
        """Return the objects as runs down the columns of the whole image."""
        return self._counted_out(record, Problems())

    def label_problems(self, record: Record, segments: Segments | None = None) -> Problems:
        """Return the problems of the image's objects; runs outside the image are left out."""
        problems = Problems()
        self._counted_out(record, problems)
        problems.take(super().label_problems(record, segments))
        return problems

    def reading_state(self, record: Record) -> str:
        """Add how pixels are counted."""
        return f"{super().reading_state(record)} {self._by_rows} {self._first} {self._is_relative}"

    def _counted_out(self, record: Record, problems: Problems) -> list[Drawn]:
        size, drawn = self.stated_size_of(record), []
        for one in super().listed_objects(record):
            report = problems.at(f"{record.entry}, {one.name}", file=str(record.image.name))
            if shape := self._runs(one.shapes[0].numbers, size, report):
                drawn.append(Drawn(one.value, (shape,), name=one.name))
        return drawn

    def _runs(self, numbers: Sequence[float], size: tuple[int, int], report: Report) -> Shape | None:
        """Return runs that go down the columns and begin with pixels outside."""
        starts, lengths = self._starts(numbers)
        ends = starts + lengths
        height, width = size
        if ends.max() > height * width or starts.min() < 0:
            report(
                "rle-wrong-length",
                f"pixel {ends.max()} of an image of {height} x {width} = {height * width}",
            )
            return None
        steps = np.zeros(height * width + 1, np.int8)
        np.add.at(steps, starts, 1)
        np.add.at(steps, ends, -1)
        inside = np.cumsum(steps[:-1]) > 0
        mask = inside.reshape(height, width) if self._by_rows else inside.reshape(width, height).T
        if not mask.any():
            report("annotation-empty", "runs of no pixel")
            return None
        return Shape("runs", runs_of_mask(mask))

    def _starts(self, numbers: Sequence[float]) -> tuple[Places, Places]:
        """Return (N,) the first pixel of each run, counted from 0, and (N,) their lengths."""
        pairs = np.asarray(numbers, np.int64).reshape(-1, 2)
        lengths = pairs[:, 1]
        if self._is_relative:  # from the end of the run before, as in the SIIM competition
            return np.cumsum(pairs[:, 0]) + np.cumsum(lengths) - lengths, lengths
        return pairs[:, 0] - self._first, lengths

    def _may_be_relative(self, records: Sequence[Record]) -> bool:
        """Tell whether most rows could not be counted from the first pixel, and all fit if relative."""
        if 2 * self._num_overlapping <= self._num_several:
            return False
        for record, (height, width) in self._sizes(records):
            ends = (sum(one.shapes[0].numbers) for one in super().listed_objects(record))
            if max(ends, default=0) > height * width:
                return False
        return True

    def _sizes(self, records: Sequence[Record]) -> Iterator[tuple[Record, tuple[int, int]]]:
        """Yield the first records whose size is known, with height and width."""
        for record in records[:_MAX_MEASURED]:
            with suppress(DataError):  # a finding of its own
                yield record, self.stated_size_of(record)

    def _order(self, records: Sequence[Record], problems: Problems) -> str:
        """Return whether runs follow columns or rows, as `run_order` says or as the runs lie."""
        if self.settings.run_order is not None:
            return self.settings.run_order
        beside = {"columns": 0.0, "rows": 0.0}
        for record, (height, width) in self._sizes(records):
            for one in super().listed_objects(record):
                starts, lengths = self._starts(one.shapes[0].numbers)
                runs = list(zip(starts.tolist(), lengths.tolist(), strict=True))
                beside["columns"] += _beside(runs, height)
                beside["rows"] += _beside(runs, width)
        if max(beside.values()) <= _CLEARLY * min(beside.values()) and self._numbers:
            problems.add(
                "run-order-unclear",
                self.name,
                "runs that may go down the columns, as in most competitions, or along the rows",
                proposal={"run_order": "columns"},
            )
        return "rows" if beside["rows"] > beside["columns"] else "columns"


def _beside(runs: Sequence[tuple[float, float]], step: int) -> float:
    """Return how many pixels of runs (start, length) lie beside the run before, in lines of `step` pixels."""
    overlaps = (min(a + m + step, b + n) - max(a + step, b) for (a, m), (b, n) in pairwise(runs))
    return sum(max(0, pixels) for pixels in overlaps)


def _columns(table: Table) -> tuple[int, int, int | None] | None:
    """Return the columns of images, of runs and of classes (if there is one), or None."""
    runs = table.column(*_RUN_COLUMNS)
    image = table.column(*_IMAGE_COLUMNS)
    if runs is None or image is None or runs == image:
        return None
    return image, runs, class_column(table, CLASS_COLUMNS, others=(image, runs))


def class_column(table: Table, names: Iterable[str], *, others: Iterable[int]) -> int | None:
    """Return the first column of these names that is none of the `others`, or None."""
    found = (table.column(name) for name in names)
    return next((column for column in found if column is not None and column not in others), None)


def _starts_with_runs(cell: str) -> bool:
    """Tell whether a cell, which may be cut off, begins with two pairs of numbers, or holds one pair."""
    return re.fullmatch(r"\d+ +\d+( +\d+)*", cell, re.ASCII) is not None
