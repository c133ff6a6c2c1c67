"""Write ``case/ct.nii.gz`` and ``case/segmentations/STRUCTURE.nii.gz``, as TotalSegmentator does."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from limner.core.labels import LabelTable
from limner.formats.dataset_yaml import write_dataset_file
from limner.formats.volumes.dataset_json import IGNORED
from limner.formats.volumes.structure_masks import MASKS, StructureMasks
from limner.formats.writers import Entry, Outgoing, Writer, lists_of, member, write_stem_lists
from limner.images.volumes.volume_writing import write_volume

_NO_NAME = re.compile(r"[^\w.\-]+")


class WriteStructureMasks(Writer):
    """A binary mask for each class but the background; ``ignore`` for voxels that are not scored."""

    name = StructureMasks.name
    volumes = "only"
    cannot_hold: ClassVar[Mapping[str, str]] = {
        "instances": "objects of a class are united",
        "field-of-view": "become ignored",
        "unreadable": "left out",
    }

    def write_image(self, root: Path, image: Outgoing, labels: LabelTable) -> Entry:
        """Write the volume and its masks; masks of classes that are not in it too, empty."""
        place = root / image.stem
        pixels, geometry = image.stored
        write_volume(place / f"volume{image.suffix}", pixels, geometry, like=image.image)
        if image.labels is not None:
            for index, one in enumerate(labels.classes):
                if index != labels.background_index:
                    self._write_mask(place, image, _file_name(one.name), image.labels == index)
            ignored = image.labels == labels.ignore_index
            if ignored.any():
                self._write_mask(place, image, IGNORED, ignored)
        return member(image)

    def finish(self, root: Path, entries: Iterable[Entry], labels: LabelTable) -> None:
        """Write the lists of the splits."""
        lists = lists_of(entries)
        write_stem_lists(root, lists)
        splits = {"splits": {split: f"{split}.txt" for split in lists}} if "train" in lists else {}
        write_dataset_file(root, {"format": self.name, **splits})

    def _write_mask(self, place: Path, image: Outgoing, name: str, mask: np.ndarray) -> None:
        image.write_labels(place / MASKS / f"{name}{image.suffix}", mask.astype(np.uint8))


def _file_name(name: str) -> str:
    return _NO_NAME.sub("_", name)
