"""COCO's instance JSON: polygons, run lengths and crowds, with the images anywhere beside it."""

import json
import posixpath
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, describe
from limner.core.sample import Record
from limner.core.segments import Segments
from limner.formats.coco.coco_annotation_list import AnnotationList
from limner.formats.coco.coco_annotations import drawn_of, places_of_images
from limner.formats.coco.coco_json import (
    CocoFile,
    CocoImage,
    Id,
    classes_of_rows,
    nothing_listed,
    one_numbering,
    plain_id,
    read_coco,
    rows_of_classes,
    sniff,
)
from limner.formats.drawn import Drawn
from limner.formats.file_tree import FileTree, list_files
from limner.formats.image_finder import ImageFinder
from limner.formats.problems import Problems
from limner.formats.shapes.object_source import BOXES, ObjectSource
from limner.formats.terms import COCO, Terms
from limner.storage.json_files import JsonObject


class _File(NamedTuple):
    """One JSON: its path in the dataset, its annotations sorted by image, category -> mask value."""

    path: PurePosixPath
    annotations: AnnotationList
    values: dict[Id, int]


class CocoInstances(ObjectSource):
    """Objects as polygons or run lengths; a pixel that no object covers is background."""

    name = "coco-instances"
    terms: ClassVar[Terms] = COCO
    title = "COCO's JSON of instances (images, annotations, categories), with the images beside it"

    def __init__(self, root: Path, settings: DatasetFile) -> None:
        # Filled by `index`: the annotations of each file in the order of its images; and a record's entry ->
        # the file's number, the first and last place there, height and width (0 where the JSON is silent).
        self._files: list[_File] = []
        self._indexed: list[tuple[CocoFile, npt.NDArray[np.int64]]] = []  # until all are indexed
        self._places: dict[str, tuple[int, int, int, int, int]] = {}
        self._complete: dict[
            str, frozenset[int]
        ] = {}  # in LVIS: entry -> values of which all objects are drawn
        super().__init__(root, settings)

    @classmethod
    def recognise(cls, root: Path, settings: DatasetFile) -> str | None:
        """Return the evidence that `root` has this layout, or None."""
        if settings.masks:
            return None
        found = instance_files(root, list_files(root))[0]
        return f"{', '.join(map(str, found))} in the shape of COCO's instances" if found else None

    def gather(self, tree: FileTree, problems: Problems) -> Iterator[Record]:
        """Yield one record for each listed image that is on disk."""
        paths, not_used = instance_files(self.root, tree)
        for path in not_used:
            problems.add(
                "other-annotations-not-used", str(path), "another JSON of annotations, such as keypoints"
            )
        finder = ImageFinder(tree.images)
        files = [read_coco(self.root, path, problems) for path in paths]
        if not files:
            raise nothing_listed(self.root, tree, "instances")
        # A file of all images may be beside those of the splits, and which split is known only from these.
        numbered, self._categories = one_numbering(files, problems)
        files = sorted(numbered, key=lambda file: file.split is None)
        names: set[str] = set()
        taken: dict[str, Record] = {}  # as text, since a path takes long to be hashed
        for file in files:
            for path, record in self._records(file, finder, problems):
                if first := taken.get(str(path)):
                    self._report_second(first, record, file, problems)
                    continue
                named = replace(record, name=str(path)) if record.name in names else record
                names.add(named.name)
                taken[str(path)] = named
                yield named
        self._indexed = []
        _report_not_listed(tree, taken.keys(), problems)

    def _records(
        self, file: CocoFile, finder: ImageFinder, problems: Problems
    ) -> Iterator[tuple[PurePosixPath, Record]]:
        """Index the annotations of each image of a file; yield its path and its record."""
        there: dict[Id, PurePosixPath] = {}
        first_of: dict[str, tuple[int, CocoImage]] = {}
        united = np.arange(-1, len(file.images))  # place + 1 of an image -> place of the first of its name
        near = [*reversed(file.path.parts[:-1]), *([file.split] if file.split else [])]
        finder.expect(image.file_name for image in file.images.values())
        for place, image in enumerate(file.images.values()):
            path = finder.find(image.file_name, near=near)
            at, first = first_of.setdefault(image.file_name, (place, image))
            united[place + 1] = at
            if first is not image:
                where = f"{file.path}, image {image.id}"
                problems.add("image-under-two-ids", where, f"{image.file_name} is image {first.id} too")
                continue
            if path is None:
                problems.add(
                    "image-missing", f"{file.path}, image {image.id}", f"no {image.file_name} on disk"
                )
            else:
                there[image.id] = path
        places = united[places_of_images(file, problems) + 1]
        order = np.argsort(places, kind="stable")
        bounds = np.searchsorted(places[order], np.arange(len(file.images) + 1)).tolist()
        self._count_masks(file, places)
        values = {number: known.values[0] for number, known in file.categories.items()}
        self._files.append(_File(file.path, file.annotations.chosen(order), values))
        self._indexed.append((file, order))
        categories = file.annotations.ids["category_id"]
        label, split = (self.root / file.path,), file.split
        number, json_path = len(self._files) - 1, str(file.path)
        for image, (start, stop) in zip(file.images.values(), pairwise(bounds), strict=True):
            if path := there.get(image.id):
                entry = f"{json_path}#{image.id}"
                self._places[entry] = number, start, stop, image.height or 0, image.width or 0
                if image.absent is not None or image.partial:
                    drawn = (plain_id(categories[place]) for place in order[start:stop].tolist())
                    self._complete[entry] = _complete(image, values, drawn)
                name = posixpath.splitext(str(path))[0]
                yield path, Record(name, self.root / path, label, split, entry=entry)

    def _report_second(self, first: Record, second: Record, file: CocoFile, problems: Problems) -> None:
        """Report an image in two entries; the annotations of the second are not used.

        Those of a joined file repeat the first's. Others have other numbers of annotations, or of other
        classes, such as those of a file for each class.
        """
        mine, others = (self._listed_values(record) for record in (second, first))
        if mine == others:
            problems.add("image-in-two-files", str(file.path), f"{first.name} is in {first.entry} too")
        elif mine:
            said = f"{len(mine)} here" + " of other classes" * (len(mine) == len(others))
            found = f"{first.name} has {len(others)} annotations in {first.entry}, and {said}"
            problems.add("image-annotated-twice", str(second.entry), found, file=first.name)

    def _listed_values(self, record: Record) -> list[int]:
        """Return the mask values of the annotations of an image, sorted, while files are indexed."""
        number, start, stop, *_ = self._places[str(record.entry)]
        (file, order), values = self._indexed[number], self._files[number].values
        ids = file.annotations.ids["category_id"]
        known = (plain_id(ids[place]) for place in order[start:stop].tolist())
        return sorted(values[one] for one in known if one in values)

    def cache_state(self) -> dict[str, npt.NDArray[Any]] | None:
        """Return the position of each image's annotations; None for LVIS, and if a file is held as text."""
        if self._complete or any(file.annotations.text is not None for file in self._files):
            return None
        classes = rows_of_classes(self._categories)
        files = [[str(f.path), f.annotations.stamp, list(f.values.items())] for f in self._files]
        state: dict[str, npt.NDArray[Any]] = {
            "places": np.array([self._places[str(r.entry)] for r in self.records], np.int64).reshape(-1, 5),
            "meta_coco": np.frombuffer(json.dumps([classes, files, self.tasks == BOXES]).encode(), np.uint8),
        }
        for number, file in enumerate(self._files):
            state[f"bounds_{number}"] = np.stack([file.annotations.starts, file.annotations.stops])
        return state

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Restore the state that `cache_state` returned."""
        classes, files, only_boxes = json.loads(state["meta_coco"].tobytes())
        self._files, self._entries, self._numbers, self._complete = [], {}, {}, {}
        if only_boxes:
            self.tasks = BOXES
        self._categories = classes_of_rows(classes)
        self._name_by_categories()
        table = self.settings.label_table()
        self._value_of = None if table is None else {value: value for value in table.trained_as}
        for number, (path, stamp, values) in enumerate(files):
            starts, stops = state[f"bounds_{number}"]
            listed = AnnotationList(self.root / path, starts, stops, (stamp[0], stamp[1]))
            self._files.append(_File(PurePosixPath(path), listed, dict(map(tuple, values))))
        rows = map(tuple, state["places"].tolist())
        self._places = {str(r.entry): row for r, row in zip(self.records, rows, strict=True)}

    def _count_masks(self, file: CocoFile, places: npt.NDArray[np.int64]) -> None:
        """Count the annotations with a mask, and report those with only a box."""
        heads, names = file.annotations.heads, [image.file_name for image in file.images.values()]
        bare = file.annotations.without_mask
        self._num_masks += int((places >= 0).sum() - (places[bare] >= 0).sum())
        for head, place in ((heads[i], int(places[i])) for i in bare):
            if place >= 0 and head.has_box:
                where = f"{file.path}#{plain_id(head.image_id)}, annotation {head.id}"
                self._boxes.add("boxes-among-masks", where, "a box only", file=names[place])

    def complete_values(self, record: Record) -> frozenset[int] | None:
        """Return the values of LVIS's categories that an image has, or is known not to have."""
        return self._complete.get(str(record.entry))

    def label_problems(self, record: Record, segments: Segments | None = None) -> Problems:
        """Return the problems of the image's annotations; those without a valid shape are left out."""
        problems = Problems()
        self._drawn(record, problems)
        problems.take(super().label_problems(record))
        return problems

    def listed_objects(self, record: Record) -> list[Drawn]:
        """Parse the annotations of the image."""
        return self._drawn(record, Problems())

    def size_in_label_file(self, record: Record) -> tuple[int, int] | None:
        """Return height and width as the JSON states them, or None if it does not."""
        *_, height, width = self._place(record)
        return (height, width) if height and width else None

    def _drawn(self, record: Record, problems: Problems) -> list[Drawn]:
        """Return the annotations of an image that can be drawn."""
        number, first, last, *_ = self._place(record)
        file, (height, width) = self._files[number], self.stated_size_of(record)
        image = CocoImage(0, record.image.name, height, width)
        drawn = []
        for row in map(JsonObject, file.annotations.rows(range(first, last))):
            where = f"{file.path}, annotation {row.text('id') or 'without id'}"
            category = plain_id(row.value("category_id"))
            if category is None:  # it had one when the file was indexed
                problems.add("annotation-malformed", where, f"a part of it is no JSON ({image.file_name})")
            else:
                drawn.append(drawn_of(row, file.values[category], image, where, problems))
        return [one for one in drawn if one]

    def _place(self, record: Record) -> tuple[int, int, int, int, int]:
        if record.entry not in self._places:
            raise DataError(describe("The COCO annotations do not list the image", where=record.image))
        return self._places[record.entry]


def _complete(image: CocoImage, values: Mapping[Id, int], drawn: Iterable[Id | None]) -> frozenset[int]:
    """Return the mask values of the categories of which all objects of an image are drawn.

    Args:
        image: What LVIS says about it.
        values: Category -> mask value.
        drawn: The categories of its objects.
    """
    known: set[Id | None] = {*values} if image.absent is None else {*image.absent, *drawn}
    known.difference_update(image.partial)
    return frozenset(value for number, value in values.items() if number in known)


def instance_files(root: Path, tree: FileTree) -> tuple[Sequence[PurePosixPath], Sequence[PurePosixPath]]:
    """Return the JSON files of instances, and the ones not used: keypoint files repeat the same objects."""
    found = [path for path, ends in sniff(root, tree) if b'"segments_info"' not in ends and _draws(ends)]
    others = [path for path in found if "keypoint" in path.stem.casefold()]
    named = [path for path in found if "instance" in path.stem.casefold()]
    taken = named or [path for path in found if path not in others] or others
    return taken, [path for path in found if path not in taken]


def _report_not_listed(tree: FileTree, listed: Set[str], problems: Problems) -> None:
    """Report the images that no JSON lists, or the folder if none of its images is listed."""
    homes = {posixpath.dirname(path) for path in listed}
    unlisted: Counter[str] = Counter()
    for image in tree.images:
        path = str(image)
        if path in listed:
            continue
        if posixpath.dirname(path) in homes:
            problems.add("image-not-listed", path, "an image that no JSON lists")
        else:
            unlisted[posixpath.dirname(path) or "."] += 1
    for folder, number in sorted(unlisted.items()):
        found = f"{number} images in {folder}/, none of which a JSON lists"
        problems.add("folder-not-listed", f"{folder}/", found)


def _draws(ends: bytes) -> bool:
    """Tell whether the file has annotations with shapes, rather than captions or none."""
    return b'"annotations"' in ends or b'"segmentation"' in ends or b'"bbox"' in ends
