"""One folder an image, with one mask file an instance: ``ID/images/*.png`` and ``ID/masks/*.png``."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, describe
from limner.core.finding import MOST_FILES, Finding, Severity
from limner.core.labels import LabelClass, LabelTable, ValueMap, distinct_color
from limner.core.sample import Image, Record, size_text
from limner.core.segments import Mask, Segments, segments_of
from limner.formats.file_tree import FileTree, list_files
from limner.formats.folder_words import split_of_folder
from limner.formats.images import read_image
from limner.formats.masks import read_values
from limner.formats.source import Source
from limner.formats.split_lists import apply_split_lists, lists_beside

_IMAGES, _MASKS = "images", "masks"


class InstanceMasks(Source):
    """Nuclei as in the 2018 Data Science Bowl: a folder an image, a 0/255 mask an instance.

    For the semantic task the instances of an image are united: 0 is background, 1 an object. For the panoptic
    task the background is a region of its own.
    """

    name = "instance-masks"
    tasks = ("semantic", "instance", "panoptic", "detection")
    overlaps_are_usual = False
    title = "one folder an image, holding images/ with the image and masks/ with one mask an instance"

    @classmethod
    def recognise(cls, root: Path, settings: DatasetFile) -> str | None:
        """Return the evidence that `root` has this layout, or None."""
        if settings.images or settings.masks:
            return None
        folders = _image_folders(list_files(root))
        single = sum(len(images) == 1 for images, _ in folders.values())
        several = sum(len(masks) > 1 for _, masks in folders.values())
        # Paired folders called images and masks hold many images, and as many masks.
        if not several or single < 0.9 * len(folders):
            return None
        return f"{len(folders)} folders that each hold {_IMAGES}/ with one image and {_MASKS}/ with its masks"

    def index(self) -> tuple[tuple[Record, ...], tuple[Finding, ...]]:
        """List one record for each image folder."""
        records: list[Record] = []
        odd: dict[str, list[str]] = defaultdict(list)
        tree = list_files(self.root)
        for folder, (images, masks) in _image_folders(tree).items():
            if len(images) != 1:
                odd["several-images" if images else "mask-without-image"].append(folder.as_posix())
                continue
            if not masks:
                odd["image-without-mask"].append(images[0].as_posix())
            labels = tuple(self.root / mask for mask in masks)
            split = next((s for part in folder.parts[:-1] if (s := split_of_folder(part))), None)
            records.append(Record(folder.as_posix(), self.root / images[0], labels, split))
        findings = [_finding(code, names) for code, names in sorted(odd.items())]
        by_name = tuple(sorted(records, key=lambda r: r.name))
        listed, more = apply_split_lists(by_name, self.root, self.settings, lists_beside(tree, by_name))
        return listed, (*findings, *more)

    def read_image(self, record: Record) -> Image:
        """Read the image upright, alpha dropped."""
        return read_image(record.image)

    def read_values(self, record: Record) -> ValueMap:
        """Unite the instances: 0 where no mask covers the pixel, 1 where one or more do.

        Raises:
            DataError: A mask cannot be read, or its size differs from the others'.
        """
        masks = _masks(record)
        united = next(masks)
        for mask in masks:
            np.logical_or(united, mask, out=united)
        return united.astype(np.uint8)

    def read_segments(self, record: Record) -> Segments:
        """Read every instance as a segment of value 1, and what none covers as one of value 0.

        Raises:
            DataError: A mask cannot be read, or its size differs from the others'.
        """
        masks = list(_masks(record))
        rest = ~np.any(masks, axis=0)
        return segments_of([*masks, rest], [1] * len(masks) + [0], shape=rest.shape)

    def declared_labels(self) -> LabelTable | None:
        """Return what `dataset.yaml` names, or background and object."""
        return self.settings.label_table() or LabelTable(
            (LabelClass("background", (0,), distinct_color(0)), LabelClass("object", (1,), distinct_color(1)))
        )


def _masks(record: Record) -> Iterator[Mask]:
    """Yield the masks of an image, each (H, W)."""
    if not record.labels:
        raise DataError(describe("The image has no masks", where=record.image))
    shape: tuple[int, ...] = ()
    for path in record.labels:
        mask = np.asarray(read_values(path) != 0)
        if shape not in ((), mask.shape):
            raise DataError(
                describe(
                    "The instance masks of one image differ in size",
                    where=path,
                    found=f"{size_text(mask.shape)} pixels (width x height)",
                    expected=f"{size_text(shape)} as in {record.labels[0].name}",
                )
            )
        shape = mask.shape
        yield mask


def _image_folders(
    tree: FileTree,
) -> dict[PurePosixPath, tuple[list[PurePosixPath], list[PurePosixPath]]]:
    """Return image folder -> (images, masks) for every folder that has both subfolders, or one of them."""
    folders: dict[PurePosixPath, tuple[list[PurePosixPath], list[PurePosixPath]]] = {}
    for folder, paths in tree.images_in.items():
        kind = folder.name.casefold()
        if kind in (_IMAGES, _MASKS) and len(folder.parts) >= 2:
            folders.setdefault(folder.parent, ([], []))[kind == _MASKS].extend(paths)
    return folders


def _finding(code: str, names: list[str]) -> Finding:
    count = len(names)
    words = {
        "several-images": (f"{count} folders hold several images; they are left out.", "one image a folder"),
        "mask-without-image": (f"{count} folders hold masks and no image; they are left out.", "one image"),
        "image-without-mask": (f"{count} images have no mask and are left out of training.", "masks/*.png"),
    }
    found, expected = words[code]
    return Finding(
        code, Severity.WARNING, names[0], found, expected, files=tuple(names[:MOST_FILES]), count=count
    )
