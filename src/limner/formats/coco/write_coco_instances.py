"""Write COCO's JSON of instances: images/ and annotations/instances_SPLIT.json."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from limner.core.labels import LabelTable
from limner.formats.coco.coco_instances import CocoInstances
from limner.formats.coco.coco_writing import CocoStream, CocoStreams, runs_row
from limner.formats.dataset_yaml import write_dataset_file
from limner.formats.drawn import Drawn, corners
from limner.formats.writers import Outgoing, Writer, numbered_from_1, settings_of

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

    def write(self, root: Path, images: Iterable[Outgoing], labels: LabelTable) -> None:
        """Write the images and their annotations one by one; the files are closed at the end."""
        numbered = numbered_from_1(labels)
        with CocoStreams(root, "instances", numbered, without=(0,)) as files:
            for image in images:
                if image.objects is not None:
                    _write_image(files.of(image.split), image, image.copy_into(root / "images"))
        write_dataset_file(root, settings_of(numbered, name=self.name, splits={}))


def _write_image(file: CocoStream, image: Outgoing, name: str) -> None:
    number = file.image(name, image.size)
    for drawn in image.objects or ():
        if drawn.value != file.labels.ignore_index:
            file.object_row(number, drawn.value, _row(drawn, *image.size) | {"iscrowd": int(drawn.is_crowd)})


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
