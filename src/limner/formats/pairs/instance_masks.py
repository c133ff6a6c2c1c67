"""One mask file per instance: in a folder for each image, or named after its image.

``ID/images/*.png`` with ``ID/masks/*.png``; ``images/ID.jpg`` with ``masks/ID/*.png`` or ``masks/ID_7.png``;
and, as in BUSI's ultrasound images, ``ID.png`` with ``ID_mask.png``, ``ID_mask_1.png``, ... beside it.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, describe
from limner.core.finding import Finding
from limner.core.labels import LabelClass, LabelTable, ValueMap, distinct_color
from limner.core.sample import Record, size_text
from limner.core.segments import Mask, Segments, segments_of
from limner.formats.file_tree import FileTree, list_files
from limner.formats.folder_words import read_folder_name, split_of_folder
from limner.formats.format_codes import format_finding
from limner.formats.source import Source
from limner.formats.split_lists import apply_split_lists, lists_beside
from limner.images.file_names import image_stem, without_suffix
from limner.images.masks import read_values

_IMAGES, _MASKS = "images", "masks"
_NUMBER = re.compile(r"[_\-. ](?:(?:mask|inst|instance|obj|object)[_\-. ]?)?\d+$", re.IGNORECASE)
_BESIDE = re.compile(r"(?P<image>.+)_mask(_\d+)?", re.IGNORECASE)
_MAX_TRIED = 20


class InstanceMasks(Source):
    """Nuclei as in the 2018 Data Science Bowl: a folder per image, a 0/255 mask per instance.

    For the semantic task the instances of an image are united: 0 is background, 1 an object. For the panoptic
    task the background is a region of its own.
    """

    name = "instance-masks"
    tasks = ("semantic", "instance", "panoptic", "detection")
    overlaps_are_usual = False
    title = (
        "one mask per instance: ID/images/ with ID/masks/, or images/ID.jpg with masks/ID/ or "
        "masks/ID_7.png, or ID.png with ID_mask.png, ID_mask_1.png"
    )

    @classmethod
    def recognise(cls, root: Path, settings: DatasetFile) -> str | None:
        """Return the evidence that `root` has this layout, or None."""
        if settings.images or settings.masks:
            return None
        groups = groups_of_masks(list_files(root))
        if not _are_instances(groups):
            return None
        return f"{len(groups)} images with a mask for each instance, such as {next(iter(groups))}"

    def index(self) -> tuple[tuple[Record, ...], tuple[Finding, ...]]:
        """List one record for each image folder."""
        records: list[Record] = []
        odd: dict[str, list[str]] = defaultdict(list)
        tree = list_files(self.root)
        for folder, (images, masks) in groups_of_masks(tree).items():
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

    def read_values(self, record: Record) -> ValueMap:
        """Unite the instances: 1 for pixels in at least one mask, 0 for others.

        Raises:
            DataError: A mask cannot be read, or its size differs from the others'.
        """
        masks = _masks(record)
        united = next(masks)
        for mask in masks:
            np.logical_or(united, mask, out=united)
        return united.astype(np.uint8)

    def read_segments(self, record: Record) -> Segments:
        """Read every instance as a segment of value 1, and the rest as one of value 0.

        An empty mask is not an instance; images without objects may have one.

        Raises:
            DataError: A mask cannot be read, or its size differs from the others'.
        """
        found = list(_masks(record))
        masks, rest = [mask for mask in found if mask.any()], ~np.any(found, axis=0)
        return segments_of([*masks, rest], [1] * len(masks) + [0], shape=rest.shape)

    def declared_labels(self) -> LabelTable | None:
        """Return the classes in `dataset.yaml`, or background and object."""
        return super().declared_labels() or LabelTable(
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


Groups = dict[PurePosixPath, tuple[list[PurePosixPath], list[PurePosixPath]]]
"""Folder, or image without suffix -> its images (one is expected) and its masks."""


def groups_of_masks(tree: FileTree) -> Groups:
    """Return the images with the masks that belong to each, by folders or names."""
    folders = _image_folders(tree)
    if _are_instances(folders):
        return folders
    return next((groups for groups in (_by_name(tree), _beside(tree)) if _are_instances(groups)), folders)


def _are_instances(groups: Groups) -> bool:
    """Tell whether images have several masks each, unlike paired folders."""
    single = sum(len(images) == 1 for images, _ in groups.values())
    return any(len(masks) > 1 for _, masks in groups.values()) and single >= 0.9 * len(groups)


def _by_name(tree: FileTree) -> Groups:
    """Return the masks in a folder named after their image, or named after it with a number."""
    images: dict[tuple[str | None, str], PurePosixPath] = {}
    masks: list[tuple[tuple[str | None, str], PurePosixPath]] = []
    for folder, paths in tree.images_in.items():
        said = [read_folder_name(part) for part in folder.parts]
        split = next((name.split for name in said if name.split), None)
        roles = [None, None, *(name.role for name in said)]
        if roles[-2] == "label" and said[-1].split is None:
            masks += [((split, folder.name), path) for path in paths]
        elif roles[-1] == "label" or "label" in roles and said[-1].split:
            masks += [((split, _NUMBER.sub("", image_stem(path.name))), path) for path in paths]
        elif "image" in roles:
            images |= {(split, image_stem(path.name)): path for path in paths}
    if any(image_stem(path.name) in {stem for _, stem in images} for _, path in masks[:_MAX_TRIED]):
        return {}  # pairs
    groups: Groups = {without_suffix(image): ([image], []) for image in images.values()}
    for key, mask in masks:
        image = images.get(key)
        groups.setdefault(without_suffix(image) if image else mask, ([], []))[1].append(mask)
    return groups


def _beside(tree: FileTree) -> Groups:
    """Return image without suffix -> the image and the masks beside it; empty if none has several."""
    if not any("_mask_" in stem.casefold() for stem in tree.stems):
        return {}
    known = {without_suffix(path) for path in tree.images}
    groups: Groups = {}
    for path in tree.images:
        named = _BESIDE.fullmatch(image_stem(path.name))
        image = path.with_name(named["image"]) if named else path
        if image in known:
            groups.setdefault(image, ([], []))[1].append(path)
        else:
            groups.setdefault(without_suffix(path), ([], []))[0].append(path)
    return groups


def _image_folders(tree: FileTree) -> Groups:
    """Return image folder -> (images, masks) for every folder with at least one of the two subfolders."""
    folders: Groups = {}
    for folder, paths in tree.images_in.items():
        kind = folder.name.casefold()
        if kind in (_IMAGES, _MASKS) and len(folder.parts) >= 2:
            folders.setdefault(folder.parent, ([], []))[kind == _MASKS].extend(paths)
    return folders


def _finding(code: str, names: list[str]) -> Finding:
    count = len(names)
    words = {
        "several-images": (f"{count} folders have several images and are left out.", "one image per folder"),
        "mask-without-image": (f"{count} folders hold masks and no image; they are left out.", "one image"),
        "image-without-mask": (f"{count} images have no mask and are left out of training.", "masks/*.png"),
    }
    found, expected = words[code]
    return format_finding(code, names[0], found, expected=expected, files=names)
