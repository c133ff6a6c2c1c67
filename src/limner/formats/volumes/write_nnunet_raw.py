"""Write ``imagesTr/case_0000.nii.gz``, ``labelsTr/case.nii.gz`` and the dataset.json of nnU-Net."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from limner.core.labels import LabelTable
from limner.formats.dataset_yaml import write_dataset_file
from limner.formats.volumes.dataset_json import FILE_NAME, IGNORED, dataset_json
from limner.formats.volumes.nnunet_raw import NnunetRaw
from limner.formats.writers import Entry, Outgoing, Writer, lists_of, member, settings_of, write_stem_lists
from limner.images.volumes.volume_writing import write_volume
from limner.storage.json_files import write_json


class WriteNnunetRaw(Writer):
    """Labels are 0 to K-1, and K for voxels that are not scored; each channel is a file."""

    name = NnunetRaw.name
    volumes = "only"
    cannot_hold: ClassVar[Mapping[str, str]] = {
        "instances": "objects of a class are united",
        "field-of-view": "become ignored",
        "unreadable": "left out",
    }

    def write_image(self, root: Path, image: Outgoing, labels: LabelTable) -> Entry:
        """Write the channels and the labels of a case."""
        end = "Ts" if image.split == "test" else "Tr"
        pixels, geometry = image.stored
        for channel in range(pixels.shape[-1]):
            path = root / f"images{end}" / f"{image.stem}_{channel:04d}{image.suffix}"
            write_volume(path, pixels[..., channel : channel + 1], geometry, like=image.image)
        has_ignored = False
        if image.labels is not None:
            ignored = image.labels == labels.ignore_index
            has_ignored = bool(ignored.any())
            values = np.where(ignored, labels.num_classes, image.labels).astype(image.labels.dtype)
            image.write_labels(root / f"labels{end}" / f"{image.stem}{image.suffix}", values)
        channels = int(pixels.shape[-1])
        return member(image) | {"channels": channels, "suffix": image.suffix, "has_ignored": has_ignored}

    def finish(self, root: Path, entries: Iterable[Entry], labels: LabelTable) -> None:
        """Write dataset.json, and lists and settings for limner."""
        rows = [*entries]
        lists = lists_of(rows)
        write_stem_lists(root, {split: [f"{stem}_0000" for stem in stems] for split, stems in lists.items()})
        content = dataset_json(
            labels,
            channels=max(row["channels"] for row in rows),
            num_training=sum(row["split"] != "test" for row in rows),
            suffix=rows[0]["suffix"],
        )
        settings = settings_of(labels, name=self.name, splits={split: f"{split}.txt" for split in lists})
        if any(row["has_ignored"] for row in rows):
            content["labels"][IGNORED] = labels.num_classes
        write_json(root / FILE_NAME, content)
        write_dataset_file(root, settings | {"ignored": [labels.num_classes]})
