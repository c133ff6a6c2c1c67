"""COCO's panoptic format: a PNG whose colours number the segments, and a JSON that says what each is."""

import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, describe
from limner.core.finding import Finding
from limner.core.labels import LabelClass, LabelTable, MaskEncoding, ValueMap
from limner.core.sample import Image, Record
from limner.core.segments import Segments, segments_of_index
from limner.formats.coco_json import (
    CocoFile,
    Id,
    ImageFinder,
    nothing_listed,
    one_table,
    plain_id,
    read_coco,
    sniff,
)
from limner.formats.file_tree import FileTree, list_files
from limner.formats.images import read_image
from limner.formats.masks import read_values, write_values
from limner.formats.problems import Problems
from limner.formats.source import Source
from limner.formats.split_lists import apply_split_lists, lists_beside

VOID = 0
"""The segment number of pixels that nobody labelled, and the mask value they get."""

COLOR = MaskEncoding("color")


class CocoPanoptic(Source):
    """Things and stuff, each pixel in one segment or in none."""

    name = "coco-panoptic"
    title = "COCO's panoptic JSON, with its PNGs in a folder of the JSON's name and the images beside"
    tasks = ("semantic", "instance", "panoptic", "detection")

    def __init__(self, root: Path, settings: DatasetFile) -> None:
        # Filled by `index`: a record's entry -> [segment number, mask value, is crowd] of each, packed.
        self._packed: dict[str, bytes] = {}
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
        """List one record for each image that is on disk, with its PNG where that is there too."""
        tree = list_files(self.root)
        problems = Problems()
        files = [read_coco(self.root, path, problems) for path in panoptic_files(self.root, tree)]
        if not files:
            raise nothing_listed(self.root, tree, "panoptic segments")
        self._categories = one_table(files)
        finder = ImageFinder(tree.images)
        records = [record for file in files for record in self._records(file, finder, problems)]
        by_name = tuple(sorted({r.name: r for r in records}.values(), key=lambda record: record.name))
        by_name, findings = apply_split_lists(by_name, self.root, self.settings, lists_beside(tree, by_name))
        return by_name, (*problems.findings(), *findings)

    def _records(self, file: CocoFile, finder: ImageFinder, problems: Problems) -> Iterator[Record]:
        labels = {}
        for position, row in enumerate(file.annotations):
            number = plain_id(row.get("image_id"))
            where = f"{file.path}, annotation {position} (image {number})"
            if number is None or number not in file.images:
                problems.add("annotation-image-unknown", where, f"image id {row.get('image_id')!r}")
            elif number in labels:
                problems.add("annotation-listed-twice", where, "the image has two annotations")
            else:
                labels[number] = self._label(row, file, number, finder, where, problems)
        pngs = {path for path in labels.values() if path}
        near = [file.split] if file.split else []
        images = ImageFinder(path for path in finder.all() if path not in pngs)
        for image in file.images.values():
            path = images.find(image.file_name, near=near)
            if path is None:
                problems.add(
                    "image-missing", f"{file.path}, image {image.id}", f"no {image.file_name} on disk"
                )
                continue
            label = labels.get(image.id)
            name, files = path.with_suffix("").as_posix(), (self.root / label,) if label else ()
            yield Record(name, self.root / path, files, file.split, entry=f"{file.path}#{image.id}")

    def _label(
        self,
        row: dict[str, Any],
        file: CocoFile,
        image: Id,
        finder: ImageFinder,
        where: str,
        problems: Problems,
    ) -> PurePosixPath | None:
        """Pack the segments of one image; return its PNG, or None where it is not there."""
        name = str(row.get("file_name") or PurePosixPath(file.images[image].file_name).with_suffix(".png"))
        segments: dict[int, tuple[int, bool]] = {}
        for info in _list(row.get("segments_info")):
            number, category = plain_id(info.get("id")), plain_id(info.get("category_id"))
            known = file.categories.get(category) if category is not None else None
            here = f"{where}, segment {number}"
            if known is None:
                problems.add("category-unknown", here, f"category id {category}, which nobody defined")
            elif not isinstance(number, int):
                problems.add("annotation-malformed", here, "no usable `id`")
            elif number in segments:
                problems.add("annotation-listed-twice", here, "the segment id stands twice")
            else:
                segments[number] = known.values[0], bool(info.get("iscrowd"))
        rows = [[number, value, int(crowd)] for number, (value, crowd) in segments.items()]
        self._packed[f"{file.path}#{image}"] = zlib.compress(json.dumps(rows).encode(), 1)
        path = finder.find(name, near=[file.path.stem, "panoptic"])
        if path is None:
            problems.add("annotation-without-mask", where, f"no {name} on disk")
        return path

    def read_image(self, record: Record) -> Image:
        """Read the image upright, alpha dropped."""
        return read_image(record.image)

    def read_values(self, record: Record) -> ValueMap:
        """Return the category of each pixel, 0 where nobody labelled it."""
        return self.read_segments(record).painted(VOID)

    def read_segments(self, record: Record) -> Segments:
        """Read the PNG and what the JSON says of its segments.

        Raises:
            DataError: The PNG cannot be read, or holds a segment that the JSON does not list.
        """
        if not record.labels or record.entry not in self._packed:
            raise DataError(describe("The image has no panoptic labels", where=record.image))
        rows = json.loads(zlib.decompress(self._packed[record.entry]))
        numbers = segment_numbers(read_values(record.labels[0], COLOR))
        found, places = np.unique(numbers, return_inverse=True)
        order = {number: place for place, (number, _, _) in enumerate(rows, start=1)} | {VOID: 0}
        unknown = [int(n) for n in found if int(n) not in order]
        if unknown:
            raise _not_in_json(record, numbers, unknown)
        table = np.array([order[int(n)] for n in found])
        index = table[places].reshape(numbers.shape)
        return segments_of_index(index, [row[1] for row in rows], [bool(row[2]) for row in rows])

    def label_problems(self, record: Record) -> Problems:
        """Return which segments are crowds, and which the PNG does not hold."""
        problems = Problems()
        rows = json.loads(zlib.decompress(self._packed[str(record.entry)]))
        file = record.image.relative_to(self.root).as_posix()
        for row, area in zip(rows, self.read_segments(record).areas, strict=True):
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
        """Return what `dataset.yaml` names, or the categories, with unlabelled pixels ignored."""
        return self.settings.label_table() or LabelTable(self._categories, self.ignored_values)


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


def _list(value: object) -> Iterable[dict[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


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
            mend="Export PNG and JSON together, or remove the image from the JSON.",
        )
    )
