"""COCO's instance JSON: polygons, run lengths and crowds, with the images anywhere beside it."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError
from limner.core.sample import Record
from limner.formats.coco_annotations import drawable
from limner.formats.coco_json import (
    CocoFile,
    CocoImage,
    Id,
    ImageFinder,
    nothing_listed,
    one_table,
    read_coco,
    sniff,
)
from limner.formats.drawn import Drawn
from limner.formats.file_tree import FileTree, list_files
from limner.formats.images import image_header
from limner.formats.object_source import ObjectSource
from limner.formats.problems import Problems


class CocoInstances(ObjectSource):
    """Objects as polygons or run lengths; a pixel that no object covers is background."""

    name = "coco-instances"
    title = "COCO's JSON of instances (images, annotations, categories), with the images beside it"

    @classmethod
    def recognise(cls, root: Path, settings: DatasetFile) -> str | None:
        """Return the evidence that `root` has this layout, or None."""
        if settings.masks:
            return None
        found = instance_files(root, list_files(root))[0]
        return f"{', '.join(map(str, found))} in the shape of COCO's instances" if found else None

    def gather(self, tree: FileTree, problems: Problems) -> Iterator[Record]:
        """Yield one record for each listed image that is on disk."""
        paths, passed_over = instance_files(self.root, tree)
        for path in passed_over:
            problems.add("other-annotations-not-used", str(path), "annotations of another kind")
        finder = ImageFinder(tree.images)
        files = [read_coco(self.root, path, problems) for path in paths]
        if not files:
            raise nothing_listed(self.root, tree, "instances")
        self._categories = one_table(files)
        taken: dict[str, Record] = {}
        for file in files:
            for record in self._records(file, finder, problems):
                if record.name in taken:
                    problems.add("image-in-two-files", str(file.path), f"{record.name} stands in another too")
                else:
                    taken[record.name] = record
                    yield record
        listed = {record.image for record in taken.values()}
        for image in tree.images:
            if self.root / image not in listed:
                problems.add("image-not-listed", str(image), "an image that no JSON lists")

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
            size = image.height or 0, image.width or 0
            self.keep(entry, drawn[number], size, where=str(file.path), file=str(path))
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
