"""Write PASCAL VOC's segmentation layout: JPEGImages, SegmentationClass (palette PNG), ImageSets."""

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image as PillowImage

from limner.core.labels import IGNORE_INDEX, LabelArray, LabelTable
from limner.formats.dataset_yaml import write_dataset_file
from limner.formats.tools.voc import Voc
from limner.formats.writers import Entry, Outgoing, Writer, lists_of, member, settings_of, write_stem_lists
from limner.storage.whole_files import write_whole

_LISTS = "ImageSets/Segmentation"
BORDER = (224, 224, 192)
"""VOC's colour for ignored pixels."""


class WriteVoc(Writer):
    """Masks hold 0 to K-1 in the classes' colours, and 255 for pixels that are not scored."""

    name = Voc.name
    most_classes = IGNORE_INDEX  # a palette has 256 colours, and the last is that of the borders
    cannot_hold: ClassVar[Mapping[str, str]] = {
        "instances": "objects of a class are united",
        "field-of-view": "become 255, ignored",
        "unlabelled": "left out",
        "unreadable": "left out",
        "transcriptions": "are dropped",
    }

    def write_image(self, root: Path, image: Outgoing, labels: LabelTable) -> Entry | None:
        """Write the image and its mask."""
        if image.labels is None:
            return None
        values = image.labels
        if image.region is not None:
            values = np.where(image.region, values, np.uint8(IGNORE_INDEX))
        image.copy_into(root / "JPEGImages")
        write_whole(root / "SegmentationClass" / f"{image.stem}.png", _palette_png(values, labels))
        return member(image)

    def finish(self, root: Path, entries: Iterable[Entry], labels: LabelTable) -> None:
        """Write lists, names and settings."""
        lists = lists_of(entries)
        write_stem_lists(root / _LISTS, lists or {"trainval": [entry["stem"] for entry in entries]})
        write_whole(root / "class_names.txt", "".join(f"{name}\n" for name in labels.names))
        splits = {split: f"{_LISTS}/{split}.txt" for split in lists}
        write_dataset_file(root, settings_of(labels, name=self.name, splits=splits))


def _palette_png(values: LabelArray, labels: LabelTable) -> bytes:
    picture = PillowImage.fromarray(values, mode="P")
    palette = np.zeros((256, 3), np.uint8)
    palette[: labels.num_classes], palette[IGNORE_INDEX] = labels.palette, BORDER
    picture.putpalette(palette.tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
