"""Base of the written formats; `WRITERS` is the table of contents."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from limner.core.labels import MAX_CLASSES, LabelArray, LabelTable, ValueMap
from limner.core.picture import PLAIN, Geometry
from limner.formats.drawn import Drawn
from limner.images.embedded_images import image_file
from limner.images.file_names import image_suffix
from limner.images.masks import write_values
from limner.images.stored_volume import is_volume, read_stored
from limner.images.volumes.volume_writing import write_volume, written_suffix
from limner.storage.whole_files import write_whole


@dataclass(frozen=True)
class Outgoing:
    """One image to be written to another folder.

    Attributes:
        stem: Its new name, unique and without folders.
        image: The file, which is copied byte for byte.
        split: ``train``, ``val``, ``test``, or None.
        labels: (*spatial) trained labels as in a `LabelMap`, or None for an unlabelled image. Outside
            the field of view they are as drawn, and not scored.
        region: (*spatial) True inside the field of view, or None if there is none.
        label: Trained label of the whole image, if labels are classes of images.
        tags: Trained labels of the whole image, if it may have any number of them.
        objects: The objects with trained labels, without those of the background; ignored regions have
            the table's `ignore_index`. None for an unlabelled image, and for writers of label maps.
        size: (H, W) of the labels of an image.
        more_images: Further files of the image, such as those of channels.
        volume_suffix: Suffix of written volumes; empty for that of the image.
        is_predicted: Whether a model found the objects, to be corrected by a person.
    """

    stem: str
    image: Path
    split: str | None
    labels: LabelArray | None
    region: npt.NDArray[np.bool_] | None = None
    label: int | None = None
    objects: Sequence[Drawn] | None = None
    size: tuple[int, int] = (0, 0)
    tags: tuple[int, ...] | None = None
    more_images: tuple[Path, ...] = ()
    volume_suffix: str = ""
    is_predicted: bool = False

    @property
    def files(self) -> tuple[Path, ...]:
        """All files of the image."""
        return (self.image, *self.more_images)

    @property
    def is_volume(self) -> bool:
        """Whether the image is a volume."""
        return is_volume(self.files) or (self.labels is not None and self.labels.ndim == 3)

    @property
    def suffix(self) -> str:
        """Suffix of the written volume and its labels."""
        return self.volume_suffix or written_suffix(self.image)

    @cached_property
    def stored(self) -> tuple[npt.NDArray[Any], Geometry]:
        """(D, H, W, C) of a volume in the type of its files, and its position."""
        return read_stored(self.files)

    def copy_into(self, folder: Path) -> str:
        """Write the image, byte for byte, and return its name there.

        A volume of another suffix, or of several files, is written as one file with the same voxels.
        """
        if self.is_volume:
            path = folder / f"{self.stem}{self.suffix}"
            if self.more_images or image_suffix(self.image.name) != self.suffix:
                pixels, geometry = self.stored
                write_volume(path, pixels, geometry, like=self.image)
            else:
                write_whole(path, self.image.read_bytes())
            return path.name
        suffix, data = image_file(self.image)
        write_whole(folder / f"{self.stem}{suffix}", data)
        return f"{self.stem}{suffix}"

    def write_labels(self, path: Path, values: ValueMap) -> None:
        """Write labels of a volume with its header, or of an image as PNG."""
        geometry = self.stored[1] if self.is_volume else PLAIN
        write_values(path, values, geometry=geometry, like=self.image)


Entry = dict[str, Any]
"""What a writer notes about a written image, as JSON-ready values."""


class Writer(ABC):
    """A format in which labelled images can be written, image by image, so that it can be interrupted."""

    takes_objects: ClassVar[bool] = False
    """Whether it takes objects rather than label maps."""

    name: ClassVar[str]
    """Name of the format in `FORMATS` that reads the result."""
    holds: ClassVar[Literal["masks", "classes", "tags"]] = "masks"
    """Whether it stores a class for each pixel, one for the whole image, or several for it."""
    most_classes: ClassVar[int] = MAX_CLASSES
    """Maximum number of classes that its files can store."""
    volumes: ClassVar[Literal["also", "only", "never"]] = "never"
    """Whether it stores volumes."""
    cannot_hold: ClassVar[Mapping[str, str]]
    """Trait of a dataset (`TRAITS`) -> what happens to it."""

    @abstractmethod
    def write_image(self, root: Path, image: Outgoing, labels: LabelTable) -> Entry | None:
        """Write one image and its labels below a folder.

        Args:
            root: The folder, which exists.
            image: The image.
            labels: The classes of the trained labels.

        Returns:
            What `finish` needs to know, or None if the image is left out.
        """

    @abstractmethod
    def finish(self, root: Path, entries: Iterable[Entry], labels: LabelTable) -> None:
        """Write the classes, splits, and files about several images.

        Args:
            root: The folder.
            entries: What `write_image` returned for each image; may be iterated several times.
            labels: As in `write_image`.
        """


TRAITS = {
    "instances": "which pixels belong to which object",
    "masks": "outlines and masks of objects",
    "boxes": "boxes without a mask",
    "holes": "holes in objects",
    "several-parts": "objects of several parts",
    "overlaps": "objects that overlap",
    "crowd": "crowds, regions of many objects",
    "difficult": "the mark that an object is difficult",
    "ignored": "regions that are ignored",
    "transcriptions": "transcriptions of words",
    "field-of-view": "labels drawn outside the field of view",
    "unlabelled": "images that have no mask",
    "unreadable": "images or masks that cannot be read, or whose sizes differ",
    "unknown-classes": "objects of a class that is not defined",
    "defects": "annotations that cannot be used",
    "repeated": "objects that are drawn twice",
    "duplicates": "copies of a picture, to the last pixel, with equal labels",
}
"""Traits of a dataset that some formats cannot hold."""


def one_class(image: Outgoing) -> int:
    """Return the class of an image; `convert` passes no unlabelled images to writers of classes."""
    assert image.label is not None, image.stem
    return image.label


def class_settings(name: str) -> dict[str, Any]:
    """Return `dataset.yaml` for images with classes, which are named by the folders or beside the lists."""
    return {"format": name}


def numbered_from_1(labels: LabelTable) -> LabelTable:
    """Return the classes with the values that formats of objects use: 1 and up, the background 0.

    Without a background class, pixels that no object covers are ignored, so 0 is too.
    """
    free = iter(range(1, len(labels.classes) + 1))
    classes = tuple(
        replace(c, values=(0 if index == labels.background_index else next(free),))
        for index, c in enumerate(labels.classes)
    )
    return LabelTable(classes, () if labels.background_index is not None else (0,))


def settings_of(labels: LabelTable, *, name: str, splits: Mapping[str, str]) -> dict[str, Any]:
    """Return `dataset.yaml` for masks of trained labels: names, colours, ignored values and lists."""
    table = labels.to_dict()
    kept = {key: table[key] for key in ("classes", "ignored")}
    return {"format": name, **kept, **({"splits": dict(splits)} if "train" in splits else {})}


def member(image: Outgoing) -> Entry:
    """Return the entry of an image for `lists_of`."""
    return {"stem": image.stem, "split": image.split}


def lists_of(entries: Iterable[Entry]) -> dict[str, list[str]]:
    """Return split -> stems, in the usual order; images in no split are left out."""
    return {
        split: stems
        for split in ("train", "val", "test")
        if (stems := [entry["stem"] for entry in entries if entry["split"] == split])
    }


def write_stem_lists(folder: Path, lists: Mapping[str, Sequence[str]]) -> None:
    """Write ``SPLIT.txt`` with one stem per line for each split."""
    for split, stems in lists.items():
        write_whole(folder / f"{split}.txt", "".join(f"{stem}\n" for stem in stems))
