"""Base of the formats of drawn objects: objects are packed while they are listed, and drawn when read."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from limner.core.boxes import Boxes, boxes_of
from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, describe
from limner.core.finding import Finding
from limner.core.labels import (
    MAX_CLASSES,
    LabelClass,
    LabelTable,
    ValueMap,
    alphabetical,
    distinct_color,
    ignored_among,
)
from limner.core.sample import Record
from limner.core.segments import Segments, segments_of
from limner.formats.drawn import Drawn, pack, resized, unpack
from limner.formats.file_tree import FileTree, list_files
from limner.formats.named_classes import BACKGROUND_NAMES, spelling_key, with_values
from limner.formats.problems import Problems
from limner.formats.shapes.object_problems import object_problems
from limner.formats.source import Source
from limner.formats.split_lists import SplitPlaces, apply_split_lists, lists_beside
from limner.formats.terms import DRAWINGS, Terms
from limner.images.read_image import image_header

BOXES = ("detection",)
IGNORED_NAMES = frozenset({"__ignore__", "_ignore_", "ignore"})
"""Labels, such as labelme's own, of regions that no loss and no metric looks at."""


def _free_value(classes: Sequence[LabelClass]) -> int:
    """Return the value of a class called background, else 0, or a new one if 0 is another class."""
    named = [c for c in classes if c.name.casefold() in BACKGROUND_NAMES]
    values = {value for c in classes for value in c.values}
    return named[0].values[0] if named else 0 if 0 not in values else max(values) + 1


class Entry(NamedTuple):
    """The objects of one image: packed, with the stated size (0 if none), or the error of their file."""

    packed: bytes
    height: int = 0
    width: int = 0
    error: str = ""


class ObjectSource(Source):
    """Objects in any shape; a pixel that no object covers is background."""

    tasks: tuple[str, ...] = ("semantic", "instance", "panoptic", "detection")
    terms: ClassVar[Terms] = DRAWINGS
    boxes_are_masks: ClassVar[bool] = False
    """Whether boxes are filled as masks, rather than left out of them, if other objects have masks."""
    is_relative: bool = False
    """Whether coordinates are fractions of width and height."""

    def __init__(self, root: Path, settings: DatasetFile) -> None:
        # Filled by `index`: a record's entry or name -> its objects; class name -> the number in them.
        self._entries: dict[str, Entry] = {}
        self._numbers: dict[str, int] = {}
        self._value_of: dict[int, int] | None = None
        self._categories: tuple[LabelClass, ...] = ()
        self._boxes, self._num_masks = Problems(), 0
        super().__init__(root, settings)

    @abstractmethod
    def gather(self, tree: FileTree, problems: Problems) -> Iterable[Record]:
        """Yield a record for each image, and pass its objects to `keep`."""

    def split_lists(self, tree: FileTree, records: tuple[Record, ...]) -> SplitPlaces:
        """Return the list files or folders of the splits."""
        return lists_beside(tree, records)

    def index(self) -> tuple[tuple[Record, ...], tuple[Finding, ...]]:
        """List one record for each image that is on disk."""
        tree, problems = list_files(self.root), Problems()
        found = {record.name: record for record in self.gather(tree, problems)}
        if self._numbers:
            self._settle_names(problems)
        self._name_by_categories()
        if not self._numbers and (table := self.settings.label_table()) is not None:
            self._settle_values(table, problems)
        if not self._num_masks and (boxes := sum(number for *_, number in self._boxes.cases())):
            self.tasks = BOXES
            problems.add("boxes-only", self.name, f"{boxes} boxes and no masks")
        boxes_unclear = bool(self._num_masks) and not self.boxes_are_masks and self.settings.boxes is None
        asked = self._boxes.findings(self.terms) if boxes_unclear else ()
        self._boxes = Problems()  # they may name every file
        by_name = tuple(found[name] for name in sorted(found))
        listed, more = apply_split_lists(by_name, self.root, self.settings, self.split_lists(tree, by_name))
        asked = tuple(replace(finding, proposal={"boxes": "ignore"}) for finding in asked)
        return listed, (*asked, *problems.findings(self.terms), *more)

    def keep(
        self, key: str, drawn: Sequence[Drawn], size: tuple[int, int] | None, *, where: str, file: str = ""
    ) -> None:
        """Pack the objects of one image.

        Args:
            key: The entry of its record, or the name.
            drawn: The objects; their values are mask values, or numbers from `number_of`.
            size: Height and width, or None if the file does not state them.
            where: The label file, for findings.
            file: The image or label file, so that a report can show it.
        """
        for one in drawn:
            if one.is_box_only:
                self._boxes.add("boxes-among-masks", f"{where}, {one.name}", "a box only", file=file)
            else:
                self._num_masks += 1
        self._entries[key] = Entry(pack(drawn), *(size or (0, 0)))

    def keep_error(self, key: str, error: DataError) -> None:
        """Store why the labels of an image cannot be read; reading them raises it."""
        self._entries[key] = Entry(b"", error=str(error))

    def number_of(self, name: str) -> int:
        """Return the number that stands for a class name until all names are known."""
        return self._numbers.setdefault(name, len(self._numbers))

    def class_order(self, names: Iterable[str]) -> list[str]:
        """Return the classes in the order of their numbers, 1 to K, if `dataset.yaml` names none."""
        return list(alphabetical(names))

    def _settle_names(self, problems: Problems) -> None:
        """Give each name its value: as `dataset.yaml` says, else 1 to K; 0 is background, 255 ignored.

        Where more than 255 classes need the value 255, what is ignored is 65535.
        """
        special = {name: 0 for name in self._numbers if name.casefold() in BACKGROUND_NAMES}
        ignored = [name for name in self._numbers if name.casefold() in IGNORED_NAMES]
        table = self.settings.label_table()
        num_classes = 1 + len(self._numbers) - len(special) - len(ignored)
        special |= dict.fromkeys(ignored, ignored_among(num_classes if table is None else table.num_classes))
        ordered = self.class_order(name for name in self._numbers if name not in special)
        names = [name for name in ordered if name.casefold() not in BACKGROUND_NAMES | IGNORED_NAMES]
        values = {name: value for value, name in enumerate(names, start=1)}
        if table is not None:
            values = self._named_values(table, values)
            for name in sorted(self._numbers.keys() - values.keys() - special.keys()):
                found = f"objects are called {name!r}{_alike(name, values)}"
                problems.add("class-not-named", "the classes", found)
            values = special | values
        else:
            self._categories = tuple(
                LabelClass(name, (value,), distinct_color(value)) for name, value in values.items()
            )
            values |= special
        self._value_of = {number: values[n] for n, number in self._numbers.items() if n in values}

    def _named_values(self, table: LabelTable, numbers: Mapping[str, int]) -> dict[str, int]:
        """Return the value of each name that means a class of `dataset.yaml`.

        Args:
            table: The classes of `dataset.yaml`.
            numbers: Name in the labels -> its number if `dataset.yaml` named no class. A class that has no
                label of its name, but values, unites the labels of these numbers.
        """
        classes = list(zip(self.settings.classes, table.classes, strict=True))
        named = {name: c.values[0] for said, c in classes for name in said.label_names}
        numbered = {
            name: c.values[0]
            for said, c in classes
            if (said.values or said.value is not None) and said.name not in self._numbers
            for name, number in numbers.items()
            if number in c.values
        }
        return numbered | named

    def _name_by_categories(self) -> None:
        """Give the classes that `dataset.yaml` only names the values of the categories that files list."""
        if self._numbers or not self._categories:
            return
        free = _free_value(self._categories)
        self.settings = with_values(self.settings, self._categories, where=self.root, background=free)

    def _settle_values(self, table: LabelTable, problems: Problems) -> None:
        """Keep the values that `dataset.yaml` names or ignores."""
        for known in self._categories:
            if not {*known.values} & table.trained_as.keys():
                problems.add("class-not-named", "the classes", f"objects are called {known.name!r}")
        self._value_of = {value: value for value in table.trained_as}

    def read_objects(self, record: Record) -> Sequence[Drawn]:
        """Return the objects as drawn, in pixels.

        Raises:
            DataError: The label file of this image could not be read.
        """
        drawn: Iterator[Drawn] = iter(self.listed_objects(record))
        if self._value_of is not None:
            values = self._value_of
            drawn = (replace(one, value=values[one.value]) for one in drawn if one.value in values)
        if self.is_relative:
            height, width = self.size_of(record)
            drawn = (one.scaled(width, height) for one in drawn)
        elif self.settings.images_resized and (
            (stated := self.stated_size_of(record)) != (size := self.size_of(record))
        ):
            drawn = (resized(one, stated, size) for one in drawn)
        if self.boxes_are_masks and self.tasks != BOXES:
            drawn = (one.outlined() for one in drawn)
        return list(drawn)

    def reading_state(self, record: Record) -> str:
        """Return how the classes are numbered, whether boxes count as masks, and the listed objects."""
        entry = self._entries.get(record.entry or record.name)
        listed = "" if entry is None else blake2b(entry.packed, digest_size=16).hexdigest()
        size = None if entry is None else (entry.height, entry.width, entry.error)
        resized = " resized" * self.settings.images_resized
        return f"{self._numbering} {self.uncovered} {self.tasks} {listed} {size}{resized}"

    @cached_property
    def _numbering(self) -> str:
        """Class -> mask value, as text."""
        if not self._numbers:
            return repr((self._value_of, [(c.name, c.values) for c in self._categories]))
        value_of = self._value_of or {}
        return repr(sorted((name, value_of.get(number)) for name, number in self._numbers.items()))

    def listed_objects(self, record: Record) -> list[Drawn]:
        """Return the objects of an image as they were listed."""
        return unpack(self._entry(record).packed)

    def size_of(self, record: Record) -> tuple[int, int]:
        """Return height and width of the labels: as stated, or of the image if `images_resized` says so."""
        if self.settings.images_resized:
            height, width = image_header(record.image).shape
            return height, width
        return self.stated_size_of(record)

    def stated_shape(self, record: Record) -> tuple[int, ...] | None:
        """Return height and width as the label file states them, if the labels are drawn in that size."""
        return None if self.settings.images_resized else self.size_in_label_file(record)

    def stated_size_of(self, record: Record) -> tuple[int, int]:
        """Return height and width as the label file states them, else those of the image."""
        stated = self.size_in_label_file(record)
        if stated is not None:
            return stated
        height, width = image_header(record.image).shape
        return height, width

    def size_in_label_file(self, record: Record) -> tuple[int, int] | None:
        """Return height and width as the label file states them, or None if it does not."""
        entry = self._entry(record)
        return (entry.height, entry.width) if entry.height and entry.width else None

    def read_values(self, record: Record) -> ValueMap:
        """Paint the class of each object, higher over lower and smaller over larger ones, on background.

        If there are only boxes, these are filled, for viewing and counting rather than training.
        """
        return self._painted(record, self._shown(record)).painted(self.uncovered)

    def read_segments(self, record: Record) -> Segments:
        """Draw each object as a segment, and the rest as one segment of the background.

        Raises:
            DataError: The file cannot be read, or there is no mask in the whole dataset.
        """
        if self.tasks == BOXES:
            raise DataError(
                describe(
                    "The labels are boxes without masks",
                    where=self.root,
                    expected="polygons or masks",
                    fix="Export the labels with masks.",
                )
            )
        return self._painted(record, self._shown(record))

    def _shown(self, record: Record) -> list[Drawn]:
        """Return the objects that are drawn: those with a mask, and boxes as `boxes` in dataset.yaml says."""
        drawn, wanted = self.read_objects(record), self.settings.boxes
        if self.tasks == BOXES:
            return list(drawn)
        if wanted is None:
            return [one for one in drawn if not one.is_box_only]
        shown = (one.outlined() if one.is_box_only else one for one in drawn)
        if wanted == "outline":
            return list(shown)
        value = self._value_of_ignored_boxes
        return [
            replace(new, value=value) if one.is_box_only else new
            for one, new in zip(drawn, shown, strict=True)
        ]

    @property
    def _value_of_ignored_boxes(self) -> int:
        """A mask value that no class has."""
        table = self.settings.label_table()
        classes = self._categories if table is None else table.classes
        named = {value for known in classes for value in known.values}
        largest = ignored_among(len(named) + 1)
        return largest if largest not in named else max(named) + 1

    def _painted(self, record: Record, drawn: Sequence[Drawn]) -> Segments:
        height, width = self.size_of(record)
        masks = [one.mask(height, width) for one in drawn]
        rest = ~np.any(masks, axis=0) if masks else np.ones((height, width), bool)
        labels = [one.value for one in drawn] + [self.uncovered]
        crowd = [one.is_crowd for one in drawn] + [False]
        heights = [one.height for one in drawn] + [0]  # the rest overlaps nothing
        found = segments_of(
            [*masks, rest], labels, crowd, shape=(height, width), heights=heights if any(heights) else None
        )
        return replace(found, complete=self.complete_values(record))

    def label_problems(self, record: Record, segments: Segments | None = None) -> Problems:
        """Return the problems of the objects of one image, which listing did not look for."""
        where = record.entry or record.labels[0].relative_to(self.root).as_posix()
        file = record.image.relative_to(self.root).as_posix()
        return object_problems(self.read_objects(record), self.size_of(record), where, file)

    def read_boxes(self, record: Record) -> Boxes:
        """Return box and outline of each object, its box as stated or around its shapes; points have none."""
        height, width = self.size_of(record)
        drawn = [one for one in self.read_objects(record) if any(s.kind != "point" for s in one.shapes)]
        return boxes_of(
            [one.bounds(height, width) for one in drawn],
            [one.value for one in drawn],
            [one.is_crowd for one in drawn],
            [one.is_difficult for one in drawn],
            shape=(height, width),
            complete=self.complete_values(record),
            outlines=[one.hull(height, width) for one in drawn],
        )

    def _entry(self, record: Record) -> Entry:
        entry = self._entries.get(record.entry or record.name)
        if entry is None:
            raise DataError(describe("The image has no labels", where=record.image))
        if entry.error:
            raise DataError(entry.error)
        return entry

    @property
    def uncovered(self) -> int:
        """The value of pixels that no object covers: background, or 0 if `dataset.yaml` ignores 0."""
        table = self.settings.label_table()
        if table is not None and table.background_index is None and 0 in table.ignored_values:
            return 0
        classes = self._categories if table is None else table.classes
        return _free_value(classes)

    def declared_labels(self) -> LabelTable | None:
        """Return the background and the classes that `dataset.yaml`, or else the labels, name."""
        table = self.settings.label_table()
        free = self.uncovered
        if table is not None:
            if table.background_index is not None or free in table.ignored_values:
                ignored = (*table.ignored_values, *self._ignored_boxes())
                return replace(table, ignored_values=tuple(dict.fromkeys(ignored)))
            ignored = tuple({*table.ignored_values, *self._ignored(table.classes)})
            return LabelTable((_background(free), *table.classes), ignored)
        things = [
            replace(c, is_thing=True if c.is_thing is None else c.is_thing)
            for c in self._categories
            if c.values != (free,)
        ]
        if len(things) >= MAX_CLASSES:
            raise DataError(
                describe(
                    "There are more classes than 16-bit labels can hold",
                    where=self.root,
                    found=f"{len(things)} classes",
                    expected=f"{MAX_CLASSES - 1} or fewer",
                    fix="List the classes to train under `classes` in dataset.yaml; the others are left out.",
                )
            )
        return LabelTable((_background(free), *things), self._ignored(things))

    def _ignored(self, classes: Sequence[LabelClass]) -> tuple[int, ...]:
        return tuple(dict.fromkeys((*self._ignored_by_name(classes), *self._ignored_boxes())))

    def _ignored_boxes(self) -> tuple[int, ...]:
        ignores = self.settings.boxes == "ignore" and self.tasks != BOXES and not self.boxes_are_masks
        return (self._value_of_ignored_boxes,) if ignores else ()

    def _ignored_by_name(self, classes: Sequence[LabelClass]) -> tuple[int, ...]:
        """Return the value of regions whose name says that they are ignored; none where it is a class's."""
        of_classes = {value for known in classes for value in known.values}
        found = {
            self._value_of[number]
            for name, number in self._numbers.items()
            if name.casefold() in IGNORED_NAMES and self._value_of and number in self._value_of
        }
        return tuple(found - of_classes)


def _alike(name: str, named: Iterable[str]) -> str:
    """Return that a name is another spelling of one of `dataset.yaml`, or an empty string."""
    other = next((known for known in named if spelling_key(known) == spelling_key(name)), None)
    return f", which may be {other!r}: unite them with `names`" if other else ""


def _background(value: int) -> LabelClass:
    return LabelClass("background", (value,), (0, 0, 0), is_thing=False)
