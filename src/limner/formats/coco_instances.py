"""COCO's instance JSON: polygons, run lengths and crowds, with the images anywhere beside it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, describe
from limner.core.finding import Finding
from limner.core.labels import LabelClass, LabelTable, ValueMap
from limner.core.sample import Image, Record
from limner.core.segments import Segments, segments_of
from limner.formats.coco_annotation_list import AnnotationList
from limner.formats.coco_annotations import Drawn, drawn_of, places_of_images
from limner.formats.coco_json import (
    CocoFile,
    CocoImage,
    Id,
    ImageFinder,
    nothing_listed,
    one_table,
    plain_id,
    read_coco,
    sniff,
)
from limner.formats.file_tree import FileTree, list_files
from limner.formats.images import image_header, read_image
from limner.formats.problems import Problems
from limner.formats.source import Source
from limner.formats.split_lists import apply_split_lists, lists_beside


class _File(NamedTuple):
    """One JSON: its path in the dataset, its annotations sorted by image, category -> mask value."""

    path: PurePosixPath
    annotations: AnnotationList
    values: dict[Id, int]


class CocoInstances(Source):
    """Objects as polygons or run lengths; a pixel that no object covers is background."""

    name = "coco-instances"
    title = "COCO's JSON of instances (images, annotations, categories), with the images beside it"
    tasks = ("semantic", "instance", "panoptic")

    def __init__(self, root: Path, settings: DatasetFile) -> None:
        # Filled by `index`: the annotations of each file in the order of its images; and a record's entry ->
        # the file's number, the first and last place there, height and width (0 where the JSON is silent).
        self._files: list[_File] = []
        self._places: dict[str, tuple[int, int, int, int, int]] = {}
        self._categories: tuple[LabelClass, ...] = ()
        super().__init__(root, settings)

    @classmethod
    def recognise(cls, root: Path, settings: DatasetFile) -> str | None:
        """Return the evidence that `root` has this layout, or None."""
        if settings.masks:
            return None
        found = instance_files(root, list_files(root))[0]
        return f"{', '.join(map(str, found))} in the shape of COCO's instances" if found else None

    def index(self) -> tuple[tuple[Record, ...], tuple[Finding, ...]]:
        """List one record for each listed image that is on disk."""
        tree = list_files(self.root)
        problems = Problems()
        paths, passed_over = instance_files(self.root, tree)
        for path in passed_over:
            problems.add("other-annotations-not-used", str(path), "annotations of another kind")
        finder = ImageFinder(tree.images)
        files = [read_coco(self.root, path, problems) for path in paths]
        if not files:
            raise nothing_listed(self.root, tree, "instances")
        self._categories = one_table(files)
        records: dict[str, Record] = {}
        listed: set[PurePosixPath] = set()
        for file in files:
            for path, record in self._records(file, finder, problems):
                if record.name in records:
                    problems.add("image-in-two-files", str(file.path), f"{record.name} stands in another too")
                records.setdefault(record.name, record)
                listed.add(path)
        for image in tree.images:
            if image not in listed:
                problems.add("image-not-listed", str(image), "an image that no JSON lists")
        by_name = tuple(sorted(records.values(), key=lambda record: record.name))
        by_name, findings = apply_split_lists(by_name, self.root, self.settings, lists_beside(tree, by_name))
        return by_name, (*problems.findings(), *findings)

    def _records(
        self, file: CocoFile, finder: ImageFinder, problems: Problems
    ) -> Iterator[tuple[PurePosixPath, Record]]:
        """Note where the annotations of each image of a file stand; yield its path and its record."""
        there: dict[Id, PurePosixPath] = {}
        near = [*reversed(file.path.parts[:-1]), *([file.split] if file.split else [])]
        for image in file.images.values():
            path = finder.find(image.file_name, near=near)
            if path is None:
                problems.add(
                    "image-missing", f"{file.path}, image {image.id}", f"no {image.file_name} on disk"
                )
            else:
                there[image.id] = path
        places = places_of_images(file, problems)
        order = np.argsort(places, kind="stable")
        bounds = np.searchsorted(places[order], np.arange(len(file.images) + 1)).tolist()
        values = {number: known.values[0] for number, known in file.categories.items()}
        self._files.append(_File(file.path, file.annotations.chosen(order), values))
        label, split = (self.root / file.path,), file.split
        for place, image in enumerate(file.images.values()):
            if path := there.get(image.id):
                entry = f"{file.path}#{image.id}"
                size = image.height or 0, image.width or 0
                self._places[entry] = len(self._files) - 1, bounds[place], bounds[place + 1], *size
                name = str(path).removesuffix(path.suffix)
                yield path, Record(name, self.root / path, label, split, entry=entry)

    def kept(self) -> dict[str, npt.NDArray[Any]] | None:
        """Return where the annotations of each image stand; None where a file had to be kept as text."""
        if any(file.annotations.text is not None for file in self._files):
            return None
        categories = [[c.name, c.values[0], c.color, c.is_thing] for c in self._categories]
        files = [[str(f.path), f.annotations.stamp, list(f.values.items())] for f in self._files]
        state: dict[str, npt.NDArray[Any]] = {
            "places": np.array([self._places[str(r.entry)] for r in self.records], np.int64).reshape(-1, 5),
            "meta_coco": np.frombuffer(json.dumps([categories, files]).encode(), np.uint8),
        }
        for number, file in enumerate(self._files):
            state[f"bounds_{number}"] = np.stack([file.annotations.starts, file.annotations.stops])
        return state

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take back what `kept` gave."""
        self._files = []
        categories, files = json.loads(state["meta_coco"].tobytes())
        self._categories = tuple(
            LabelClass(name, (value,), (color[0], color[1], color[2]), is_thing)
            for name, value, color, is_thing in categories
        )
        for number, (path, stamp, values) in enumerate(files):
            starts, stops = state[f"bounds_{number}"]
            listed = AnnotationList(self.root / path, starts, stops, (stamp[0], stamp[1]))
            self._files.append(_File(PurePosixPath(path), listed, dict(map(tuple, values))))
        rows = map(tuple, state["places"].tolist())
        self._places = {str(r.entry): row for r, row in zip(self.records, rows, strict=True)}

    def read_image(self, record: Record) -> Image:
        """Read the image upright, alpha dropped."""
        return read_image(record.image)

    def read_values(self, record: Record) -> ValueMap:
        """Paint the category of each object, smaller ones over larger ones, on background."""
        segments = self.read_segments(record)
        values = np.concatenate([[0], segments.labels])
        painted: ValueMap = values[segments.flat()].astype(np.int32)
        return painted

    def read_segments(self, record: Record) -> Segments:
        """Draw each object as a segment; what none covers is one of the background's value."""
        drawn, height, width = self._drawn(record, Problems())
        masks = [one.mask(height, width) for one in drawn]
        rest = ~np.any(masks, axis=0) if masks else np.ones((height, width), bool)
        labels = [one.value for one in drawn] + [self._background]
        crowd = [one.is_crowd for one in drawn] + [False]
        return segments_of([*masks, rest], labels, crowd, shape=(height, width))

    def label_problems(self, record: Record) -> Problems:
        """Return what is wrong with the image's annotations; those that draw nothing are left out."""
        problems = Problems()
        self._drawn(record, problems)
        return problems

    def _drawn(self, record: Record, problems: Problems) -> tuple[list[Drawn], int, int]:
        """Return the annotations of an image that can be drawn, and its height and width."""
        if record.entry not in self._places:
            raise DataError(describe("The COCO annotations do not list the image", where=record.image))
        number, first, last, height, width = self._places[record.entry]
        file = self._files[number]
        if not (height and width):
            height, width = image_header(record.image).stored_shape
        image = CocoImage(0, record.image.name, height, width)
        drawn = []
        for row in file.annotations.rows(range(first, last)):
            where = f"{file.path}, annotation {row.get('id', 'without id')}"
            category = plain_id(row.get("category_id"))
            assert category is not None, "annotations of no category are left out when the file is indexed"
            drawn.append(drawn_of(row, file.values[category], image, where, problems))
        return [one for one in drawn if one], height, width

    @property
    def _background(self) -> int:
        """Return the value of what no object covers: the category of that name, else 0, else a free one."""
        named = [c for c in self._categories if c.name.casefold() == "background"]
        values = {c.values[0] for c in self._categories}
        return named[0].values[0] if named else 0 if 0 not in values else max(values) + 1

    def declared_labels(self) -> LabelTable | None:
        """Return what `dataset.yaml` names, or the background and the categories."""
        declared = self.settings.label_table()
        if declared is not None:
            return declared
        background = LabelClass("background", (self._background,), (0, 0, 0), is_thing=False)
        things = [
            replace(c, is_thing=True if c.is_thing is None else c.is_thing)
            for c in self._categories
            if c.values != background.values
        ]
        return LabelTable((background, *things))


def instance_files(root: Path, tree: FileTree) -> tuple[Sequence[PurePosixPath], Sequence[PurePosixPath]]:
    """Return the JSON files of instances, and those passed over: keypoints repeat the same objects."""
    found = [path for path, ends in sniff(root, tree) if b'"segments_info"' not in ends and _draws(ends)]
    others = [path for path in found if "keypoint" in path.stem.casefold()]
    named = [path for path in found if "instance" in path.stem.casefold()]
    taken = named or [path for path in found if path not in others] or others
    return taken, [path for path in found if path not in taken]


def _draws(ends: bytes) -> bool:
    """Tell whether the file has annotations with something to draw, rather than captions or none."""
    return b'"annotations"' in ends or b'"segmentation"' in ends or b'"bbox"' in ends
