"""COCO's instance JSON: polygons, run lengths and crowds, with the images anywhere beside it."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, describe
from limner.core.finding import Finding
from limner.core.labels import LabelClass, LabelTable, ValueMap
from limner.core.sample import Image, Record
from limner.core.segments import Segments, segments_of
from limner.formats.coco_annotations import Drawn, drawable, pack, unpack
from limner.formats.coco_json import (
    CocoFile,
    CocoImage,
    Id,
    ImageFinder,
    Problems,
    nothing_listed,
    one_table,
    read_coco,
    sniff,
)
from limner.formats.file_tree import FileTree, list_files
from limner.formats.images import image_header, read_image
from limner.formats.source import Source
from limner.formats.split_lists import apply_split_lists, lists_beside


class CocoInstances(Source):
    """Objects as polygons or run lengths; a pixel that no object covers is background."""

    name = "coco-instances"
    title = "COCO's JSON of instances (images, annotations, categories), with the images beside it"
    tasks = ("semantic", "instance", "panoptic")

    def __init__(self, root: Path, settings: DatasetFile) -> None:
        # Both are filled by `index`: a record's entry -> its annotations, packed, and its size.
        self._packed: dict[str, tuple[bytes, int, int]] = {}
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
        for file in files:
            for record in self._records(file, finder, problems):
                if record.name in records:
                    problems.add("image-in-two-files", str(file.path), f"{record.name} stands in another too")
                records.setdefault(record.name, record)
        listed = {record.image for record in records.values()}
        for image in tree.images:
            if self.root / image not in listed:
                problems.add("image-not-listed", str(image), "an image that no JSON lists")
        by_name = tuple(sorted(records.values(), key=lambda record: record.name))
        by_name, findings = apply_split_lists(by_name, self.root, self.settings, lists_beside(tree, by_name))
        return by_name, (*problems.findings(), *findings)

    def _records(self, file: CocoFile, finder: ImageFinder, problems: Problems) -> Iterator[Record]:
        """Pack the annotations of each image of a file, and yield its record."""
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
        file = replace(file, images={i: self._sized(image, there) for i, image in file.images.items()})
        drawn: dict[Id, list[Drawn]] = defaultdict(list)
        for number, one in drawable(file, problems):
            drawn[number].append(one)
        for number, path in there.items():
            image, entry = file.images[number], f"{file.path}#{number}"
            self._packed[entry] = pack(drawn[number]), image.height or 0, image.width or 0
            yield Record(
                path.with_suffix("").as_posix(),
                self.root / path,
                (self.root / file.path,),
                file.split,
                entry=entry,
            )

    def _sized(self, image: CocoImage, there: dict[Id, PurePosixPath]) -> CocoImage:
        """Take the size from the image file where the JSON leaves it out."""
        if image.height is not None and image.width is not None:
            return image
        height, width = 1, 1
        if image.id in there:
            # An image that cannot be read is reported when it is read.
            with suppress(DataError):
                height, width = image_header(self.root / there[image.id]).stored_shape
        return replace(image, height=height, width=width)

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
        packed, height, width = self._entry(record)
        drawn = unpack(packed)
        masks = [one.mask(height, width) for one in drawn]
        rest = ~np.any(masks, axis=0) if masks else np.ones((height, width), bool)
        labels = [one.value for one in drawn] + [self._background]
        crowd = [one.is_crowd for one in drawn] + [False]
        return segments_of([*masks, rest], labels, crowd, shape=(height, width))

    def _entry(self, record: Record) -> tuple[bytes, int, int]:
        if record.entry not in self._packed:
            raise DataError(describe("The COCO annotations do not list the image", where=record.image))
        return self._packed[record.entry]

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
