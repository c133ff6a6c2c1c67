"""Write COCO's panoptic format: images/, annotations/panoptic_SPLIT.json and PNGs in a folder of its name."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from limner.core.labels import LabelTable
from limner.core.segments import Segments, segments_of
from limner.formats.coco.coco_panoptic import CocoPanoptic, write_panoptic_png
from limner.formats.coco.coco_writing import CocoStream, CocoStreams, whole_box
from limner.formats.dataset_yaml import write_dataset_file
from limner.formats.writers import Outgoing, Writer, settings_of


class WriteCocoPanoptic(Writer):
    """Each object and region of stuff is a segment, as is the background; ignored pixels are in none."""

    name = CocoPanoptic.name
    takes_objects: ClassVar[bool] = True
    cannot_hold: ClassVar[Mapping[str, str]] = {
        "boxes": "are not written",
        "overlaps": "the smaller one is on top",
        "difficult": "the mark is dropped",
        "field-of-view": "are kept, without its border",
        "unreadable": "left out",
        "transcriptions": "are dropped",
    }

    def write(self, root: Path, images: Iterable[Outgoing], labels: LabelTable) -> None:
        """Write the images, PNGs and annotations one by one; the files are closed at the end."""
        numbered = _all_from_1(labels)
        with CocoStreams(root, "panoptic", numbered) as files:
            for image in images:
                _write_image(files.of(image.split), image, image.copy_into(root / "images"), labels)
        write_dataset_file(root, settings_of(numbered, name=self.name, splits={}))


def _all_from_1(labels: LabelTable) -> LabelTable:
    """Return the classes with values from 1; 0 is an unlabelled pixel."""
    rows = labels.to_dict()["classes"]
    classes = [row | {"values": [index]} for index, row in enumerate(rows, start=1)]
    return LabelTable.from_dict({"classes": classes, "ignored": [0]})


def _write_image(file: CocoStream, image: Outgoing, name: str, labels: LabelTable) -> None:
    number = file.image(name, image.size)
    if image.objects is None:
        return
    segments = _segments(image, labels)
    ids = segments.flat()
    ids = np.where(np.concatenate([[0], segments.labels])[ids] == labels.ignore_index, 0, ids)
    png = file.path.with_suffix("") / f"{image.stem}.png"
    write_panoptic_png(png, ids)
    areas = np.bincount(ids.ravel(), minlength=len(segments) + 1)
    infos = [
        {
            "id": i + 1,
            "category_id": file.category(int(label)),
            "area": int(areas[i + 1]),
            "bbox": whole_box(ids == i + 1),
            "iscrowd": int(crowd),
        }
        for i, (label, crowd) in enumerate(zip(segments.labels, segments.is_crowd, strict=True))
        if areas[i + 1]
    ]
    file.row({"image_id": number, "file_name": png.name, "segments_info": infos})


def _segments(image: Outgoing, table: LabelTable) -> Segments:
    """Draw the objects, and the rest as background, or as ignored if there is no such class."""
    drawn = [one for one in image.objects or () if not one.is_box_only]
    masks = [one.mask(*image.size) for one in drawn]
    rest = ~np.any(masks, axis=0) if masks else np.ones(image.size, bool)
    background = table.background_index
    labels = [*(one.value for one in drawn), table.ignore_index if background is None else background]
    return segments_of([*masks, rest], labels, [*(one.is_crowd for one in drawn), False], shape=image.size)
