"""Write COCO's JSON of instances: images/ and annotations/instances_SPLIT.json."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from limner.core.labels import LabelTable
from limner.formats.coco.coco_instances import CocoInstances
from limner.formats.coco.coco_writing import category, coco_entry, runs_row, write_coco_splits
from limner.formats.dataset_yaml import write_dataset_file
from limner.formats.drawn import Drawn, corners
from limner.formats.writers import Entry, Outgoing, Writer, numbered_from_1, settings_of

OUTLINES = ("polygon", "box", "ellipse")


class WriteCocoInstances(Writer):
    """Polygons stay polygons; holes, masks, lines and crowds become run lengths; boxes stay boxes."""

    name = CocoInstances.name
    takes_objects: ClassVar[bool] = True
    cannot_hold: ClassVar[Mapping[str, str]] = {
        "difficult": "the mark is dropped",
        "ignored": "become background",
        "field-of-view": "are kept, without its border",
        "unlabelled": "left out",
        "unreadable": "left out",
        "transcriptions": "are dropped",
    }

    def write_image(self, root: Path, image: Outgoing, labels: LabelTable) -> Entry | None:
        """Write the image; its objects are in the file of its split."""
        if image.objects is None:
            return None
        name, numbered = image.copy_into(root / "images"), numbered_from_1(labels)
        rows = [
            {"category_id": category(numbered, drawn.value)}
            | _row(drawn, *image.size)
            | {"iscrowd": int(drawn.is_crowd)}
            | ({} if drawn.score is None else {"score": round(drawn.score, 5)})
            for drawn in image.objects
            if drawn.value != numbered.ignore_index
        ]
        return coco_entry(name, image.size, rows) | {"split": image.split}

    def finish(self, root: Path, entries: Iterable[Entry], labels: LabelTable) -> None:
        """Write the annotations and settings."""
        numbered = numbered_from_1(labels)
        write_coco_splits(root, "instances", entries, numbered, without=(0,))
        write_dataset_file(root, settings_of(numbered, name=self.name, splits={}))


def _row(drawn: Drawn, height: int, width: int) -> dict[str, Any]:
    if drawn.is_box_only:
        left, top, right, bottom = drawn.bounds(height, width)
        return {"segmentation": [], **_box(drawn, height, width), "area": (right - left) * (bottom - top)}
    mask = drawn.mask(height, width)
    if drawn.is_crowd or any(shape.kind not in OUTLINES for shape in drawn.shapes):
        row = runs_row(mask)
        return row if drawn.box is None else row | _box(drawn, height, width)
    polygons = [corners(shape) for shape in drawn.shapes]
    return {"segmentation": polygons, **_box(drawn, height, width), "area": int(mask.sum())}


def _box(drawn: Drawn, height: int, width: int) -> dict[str, list[float]]:
    left, top, right, bottom = drawn.bounds(height, width)
    return {"bbox": [left, top, right - left, bottom - top]}
