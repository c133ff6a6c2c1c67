"""COCO's panoptic format: a PNG whose colours number the segments, and a JSON that describes each."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, describe
from limner.core.finding import Finding
from limner.core.labels import LabelClass, LabelTable, MaskEncoding, ValueMap
from limner.core.sample import Record
from limner.core.segments import Segments, segments_of_index
from limner.formats.coco.coco_json import (
    CocoFile,
    Id,
    classes_of_rows,
    nothing_listed,
    one_numbering,
    plain_id,
    read_coco,
    rows_of_classes,
    sniff,
)
from limner.formats.coco.panoptic_segments import PanopticAnnotation, SegmentTable
from limner.formats.file_tree import FileTree, list_files
from limner.formats.image_finder import ImageFinder
from limner.formats.named_classes import with_values
from limner.formats.problems import Problems
from limner.formats.source import Source
from limner.formats.split_lists import apply_split_lists, lists_beside
from limner.formats.terms import COCO, Terms
from limner.images.masks import read_values, write_values
from limner.storage.json_files import as_shown

VOID = 0
"""The segment number and the mask value of unlabelled pixels."""

COLOR = MaskEncoding("color")


class CocoPanoptic(Source):
    """Things and stuff, each pixel in one segment or in none."""

    name = "coco-panoptic"
    terms: ClassVar[Terms] = COCO
    title = "COCO's panoptic JSON, with its PNGs in a folder of the JSON's name and the images beside"
    tasks = ("semantic", "instance", "panoptic", "detection")

    def __init__(self, root: Path, settings: DatasetFile) -> None:
        self._segments = SegmentTable()
        self._categories: tuple[LabelClass, ...] = ()
        super().__init__(root, settings)

    @classmethod
    def recognise(cls, root: Path, settings: DatasetFile) -> str | None:
        """Return the evidence that `root` has this layout, or None."""
        if settings.masks:
            return None
        found = panoptic_files(root, list_files(root))
        return f"{', '.join(map(str, found))} in the shape of COCO's panoptic labels" if found else None

    def index(self) -> tuple[tuple[Record, ...], tuple[Finding, ...]]:
        """List one record for each image on disk, with its PNG if that is on disk too."""
        tree = list_files(self.root)
        problems = Problems()
        files = [read_coco(self.root, path, problems) for path in panoptic_files(self.root, tree)]
        if not files:
            raise nothing_listed(self.root, tree, "panoptic segments")
        files, self._categories = one_numbering(files, problems)
        self.settings = with_values(self.settings, self._categories, where=self.root)
        if (table := self.settings.label_table()) is not None:
            for known in self._left_out(table):
                problems.add("class-not-named", "the classes", f"segments are called {known.name!r}")
        finder = ImageFinder(tree.images)
        records = [record for file in files for record in self._records(file, finder, problems)]
        by_name = tuple(sorted({r.name: r for r in records}.values(), key=lambda record: record.name))
        by_name, findings = apply_split_lists(by_name, self.root, self.settings, lists_beside(tree, by_name))
        return by_name, (*problems.findings(self.terms), *findings)

    def cache_state(self) -> dict[str, npt.NDArray[Any]] | None:
        """Return the segments of all images and the classes."""
        classes = json.dumps(rows_of_classes(self._categories)).encode()
        segments = self._segments.cache_state([str(record.entry) for record in self.records])
        return {**segments, "meta_coco": np.frombuffer(classes, np.uint8)}

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Restore the state that `cache_state` returned."""
        self._segments = SegmentTable.restored([str(record.entry) for record in self.records], state)
        self._categories = classes_of_rows(json.loads(state["meta_coco"].tobytes()))
        self.settings = with_values(self.settings, self._categories, where=self.root)

    def reading_state(self, record: Record) -> str:
        """Return the segments that the JSON lists, with their values."""
        return repr(self._segments.rows(str(record.entry))) if record.entry in self._segments else ""

    def _records(self, file: CocoFile, finder: ImageFinder, problems: Problems) -> Iterator[Record]:
        labels = self._labels(file, finder, problems)
        pngs = {str(path) for path in labels.values() if path}  # as text: a path takes long to be hashed
        split = file.split
        near = [split] if split else []
        images = ImageFinder(path for path in finder.all() if str(path) not in pngs)
        images.expect(image.file_name for image in file.images.values())
        for image in file.images.values():
            path = images.find(image.file_name, near=near)
            if path is None:
                problems.add(
                    "image-missing", f"{file.path}, image {image.id}", f"no {image.file_name} on disk"
                )
                continue
            label = labels.get(image.id)
            name, files = str(path).removesuffix(path.suffix), (self.root / label,) if label else ()
            yield Record(name, self.root / path, files, split, entry=f"{file.path}#{image.id}")

    def _labels(
        self, file: CocoFile, finder: ImageFinder, problems: Problems
    ) -> dict[Id, PurePosixPath | None]:
        """Index the segments of each annotated image; return its PNG, None if it is not on disk."""
        labels: dict[Id, PurePosixPath | None] = {}
        values = {number: known.values[0] for number, known in file.categories.items()}
        near = [file.path.stem, "panoptic"]
        for position, row in enumerate(file.annotations.read_as(PanopticAnnotation)):
            number = plain_id(row.image_id)
            where = f"{file.path}, annotation {position} (image {number})"
            if number is None or number not in file.images:
                problems.add("annotation-image-unknown", where, f"image id {as_shown(row.image_id)}")
            elif number in labels:
                problems.add("annotation-listed-twice", where, "the image has two annotations")
            else:
                self._segments.add(f"{file.path}#{number}", row.segments, values, where, problems)
                name = row.file_name if isinstance(row.file_name, str) else ""
                name = name or str(PurePosixPath(file.images[number].file_name).with_suffix(".png"))
                labels[number] = finder.find(name, near=near)
                if labels[number] is None:
                    problems.add("annotation-without-mask", where, f"no {name} on disk")
        return labels

    def read_values(self, record: Record) -> ValueMap:
        """Return the category of each pixel, 0 if unlabelled."""
        return self.read_segments(record).painted(VOID)

    def read_segments(self, record: Record) -> Segments:
        """Read the PNG and the segments that the JSON describes.

        Raises:
            DataError: The PNG cannot be read, or holds a segment that the JSON does not list.
        """
        if not record.labels or record.entry not in self._segments:
            raise DataError(describe("The image has no panoptic labels", where=record.image))
        rows = self._segments.rows(str(record.entry))
        numbers = segment_numbers(read_values(record.labels[0], COLOR))
        found, places = np.unique(numbers, return_inverse=True)
        order = {number: place for place, (number, _, _) in enumerate(rows, start=1)} | {VOID: 0}
        unknown = [int(n) for n in found if int(n) not in order]
        if unknown:
            raise _not_in_json(record, numbers, unknown)
        table = np.array([order[int(n)] for n in found])
        index = table[places].reshape(numbers.shape)
        return segments_of_index(index, [row[1] for row in rows], [bool(row[2]) for row in rows])

    def label_problems(self, record: Record, segments: Segments | None = None) -> Problems:
        """Report the segments that are crowds, and those that the PNG does not hold."""
        problems = Problems()
        segments = self.read_segments(record) if segments is None else segments
        rows = self._segments.rows(str(record.entry))
        file = record.image.relative_to(self.root).as_posix()
        for row, area in zip(rows, segments.areas, strict=True):
            report = problems.at(f"{record.entry}, segment {row[0]}", file=file)
            if not area:
                report("segment-not-in-png", "no pixel of its colour")
            if row[2]:
                report("crowd", "a region of many objects")
        return problems

    @property
    def ignored_values(self) -> tuple[int, ...]:
        """The value of unlabelled pixels, unless a category has it."""
        return () if any(VOID in c.values for c in self._categories) else (VOID,)

    def declared_labels(self) -> LabelTable | None:
        """Return what `dataset.yaml` names, or all categories; unlabelled and other pixels are ignored."""
        table = self.settings.label_table()
        if table is None:
            return LabelTable(self._categories, self.ignored_values)
        others = (*self.ignored_values, *(value for c in self._left_out(table) for value in c.values))
        more = tuple(value for value in others if value not in table.trained_as)
        return replace(table, ignored_values=(*table.ignored_values, *more))

    def _left_out(self, table: LabelTable) -> list[LabelClass]:
        """Return the categories that `dataset.yaml` neither names nor ignores."""
        return [c for c in self._categories if not {*c.values} & table.trained_as.keys()]


def segment_numbers(packed: ValueMap) -> ValueMap:
    """Return red + 256 green + 65536 blue of packed colours; the same function turns them back."""
    return (packed & 255) << 16 | packed & 0xFF00 | packed >> 16


def write_panoptic_png(path: Path, segment_ids: ValueMap) -> None:
    """Write segment numbers as COCO's colours.

    Args:
        path: The PNG.
        segment_ids: (H, W) 0 for none, up to 256^3 - 1.
    """
    write_values(path, segment_numbers(segment_ids.astype(np.int64)), COLOR)


def panoptic_files(root: Path, tree: FileTree) -> Sequence[PurePosixPath]:
    """Return the JSON files that list segments."""
    return [path for path, ends in sniff(root, tree) if b'"segments_info"' in ends]


def _not_in_json(record: Record, numbers: ValueMap, unknown: list[int]) -> DataError:
    number = unknown[0]
    color = f"#{number & 255:02x}{number >> 8 & 255:02x}{number >> 16:02x}"
    pixels = int((numbers == number).sum())
    more = f", and {len(unknown) - 1} more" if len(unknown) > 1 else ""
    return DataError(
        describe(
            "The panoptic PNG holds colours that its JSON does not list",
            where=record.labels[0],
            found=f"segment {number} (colour {color}) on {pixels} pixels{more}",
            expected=f"only the segments_info of {record.entry}",
            fix="Export PNG and JSON together, or remove the image from the JSON.",
        )
    )
