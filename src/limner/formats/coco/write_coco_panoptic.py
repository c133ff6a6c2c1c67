"""Write COCO's panoptic format: images/, annotations/panoptic_SPLIT.json and PNGs in a folder of its name."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from limner.core.labels import LabelTable
from limner.core.segments import Segments, segments_of
from limner.formats.coco.coco_panoptic import CocoPanoptic, write_panoptic_png
from limner.formats.coco.coco_writing import (
    annotation_stem,
    category,
    coco_entry,
    whole_box,
    write_coco_splits,
)
from limner.formats.dataset_yaml import write_dataset_file
from limner.formats.writers import Entry, Outgoing, Writer, settings_of


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

    def write_image(self, root: Path, image: Outgoing, labels: LabelTable) -> Entry:
        """Write the image and the PNG of its segments, which are in the file of its split."""
        name = image.copy_into(root / "images")
        rows = [] if image.objects is None else [_row(root, image, labels)]
        return coco_entry(name, image.size, rows) | {"split": image.split}

    def finish(self, root: Path, entries: Iterable[Entry], labels: LabelTable) -> None:
        """Write the annotations and settings."""
        numbered = _all_from_1(labels)
        write_coco_splits(root, "panoptic", entries, numbered)
        write_dataset_file(root, settings_of(numbered, name=self.name, splits={}))


def _all_from_1(labels: LabelTable) -> LabelTable:
    """Return the classes with values from 1; 0 is an unlabelled pixel."""
    rows = labels.to_dict()["classes"]
    classes = [row | {"values": [index]} for index, row in enumerate(rows, start=1)]
    return LabelTable.from_dict({"classes": classes, "ignored": [0]})


def _row(root: Path, image: Outgoing, labels: LabelTable) -> dict[str, Any]:
    """Write the PNG of an image's segments, and return its annotation."""
    segments, numbered = _segments(image, labels), _all_from_1(labels)
    ids = segments.flat()
    ids = np.where(np.concatenate([[0], segments.labels])[ids] == labels.ignore_index, 0, ids)
    png = root / "annotations" / annotation_stem("panoptic", image.split) / f"{image.stem}.png"
    write_panoptic_png(png, ids)
    areas = np.bincount(ids.ravel(), minlength=len(segments) + 1)
    infos = [
        {
            "id": i + 1,
            "category_id": category(numbered, int(label)),
            "area": int(areas[i + 1]),
            "bbox": whole_box(ids == i + 1),
            "iscrowd": int(crowd),
        }
        for i, (label, crowd) in enumerate(zip(segments.labels, segments.is_crowd, strict=True))
        if areas[i + 1]
    ]
    return {"file_name": png.name, "segments_info": infos}


def _segments(image: Outgoing, table: LabelTable) -> Segments:
    """Draw the objects, and the rest as background, or as ignored if there is no such class."""
    drawn = [one for one in image.objects or () if not one.is_box_only]
    masks = [one.mask(*image.size) for one in drawn]
    rest = ~np.any(masks, axis=0) if masks else np.ones(image.size, bool)
    background = table.background_index
    labels = [*(one.value for one in drawn), table.ignore_index if background is None else background]
    return segments_of([*masks, rest], labels, [*(one.is_crowd for one in drawn), False], shape=image.size)
