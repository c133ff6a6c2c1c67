"""Write labelme's JSON: one file beside each image, which labelme opens and edits."""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image as PillowImage

from limner.core.labels import LabelTable
from limner.core.segments import Mask
from limner.formats.dataset_yaml import write_dataset_file
from limner.formats.drawn import Drawn, Shape, box_of_mask
from limner.formats.shapes.polygons import is_inside, outlines_of
from limner.formats.tools.labelme import Labelme
from limner.formats.writers import (
    Entry,
    Outgoing,
    Writer,
    lists_of,
    member,
    numbered_from_1,
    settings_of,
    write_stem_lists,
)
from limner.storage.json_files import write_json

VERSION = "5.4.1"
"""First labelme version with all features written here, such as masks."""

_KIND_OF = {"polygon": "polygon", "box": "rectangle", "line": "linestrip", "point": "point"}
IGNORED = "__ignore__"


class WriteLabelme(Writer):
    """Shapes stay as drawn; masks become polygons, or stay masks if they have holes or several parts."""

    name = Labelme.name
    takes_objects: ClassVar[bool] = True
    cannot_hold: ClassVar[Mapping[str, str]] = {
        "field-of-view": "are kept, without its border",
        "unreadable": "left out",
        "transcriptions": "are dropped",
    }

    def write_image(self, root: Path, image: Outgoing, labels: LabelTable) -> Entry:
        """Write the image with its JSON file."""
        name = image.copy_into(root)
        if image.objects is not None:
            write_json(root / f"{image.stem}.json", labelme_content(image, name, labels))
        return member(image)

    def finish(self, root: Path, entries: Iterable[Entry], labels: LabelTable) -> None:
        """Write lists and settings."""
        lists = lists_of(entries)
        write_stem_lists(root, lists)
        splits = {split: f"{split}.txt" for split in lists}
        settings = settings_of(numbered_from_1(labels), name=self.name, splits=splits)
        write_dataset_file(root, settings | {"ignored": [*settings["ignored"], labels.ignore_index]})


def labelme_content(image: Outgoing, name: str, labels: LabelTable) -> dict[str, Any]:
    """Return the JSON of an image's objects.

    Args:
        image: The image; its objects have trained labels.
        name: Path of the image file from the JSON file.
        labels: The classes.
    """
    height, width = image.size
    shapes: list[dict[str, Any]] = []
    for number, drawn in enumerate(image.objects or ()):
        label = IGNORED if drawn.value == labels.ignore_index else labels.names[drawn.value]
        flags = {
            key: True for key, said in (("crowd", drawn.is_crowd), ("difficult", drawn.is_difficult)) if said
        }
        rows = _rows(drawn, height, width)
        shared: dict[str, Any] = {"group_id": number if len(rows) > 1 else None, "flags": flags}
        shared |= {} if drawn.score is None else {"description": f"{drawn.score:.3f}"}
        shapes += [{"label": label, **row, **shared} for row in rows]
    return {
        "version": VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": name,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }


def _rows(drawn: Drawn, height: int, width: int) -> list[dict[str, Any]]:
    """Return the shapes of one object."""
    if all(shape.kind in (*_KIND_OF, "ellipse") for shape in drawn.shapes):
        rows = [row for shape in drawn.shapes if (row := _row(shape))]
        polygons = [shape.numbers for shape in drawn.shapes if shape.kind == "polygon"]
        if len(rows) == len(drawn.shapes) and not _nested(polygons):
            return rows
    mask = drawn.mask(height, width)
    outlines = outlines_of(mask)
    if len(outlines) > 1:
        return [_mask_row(mask)]
    return [_points_row("polygon", outline) for _, outline in outlines]


def _row(shape: Shape) -> dict[str, Any] | None:
    """Return a shape in labelme's form, or None for an ellipse that is not a circle."""
    if shape.kind != "ellipse":
        return _points_row(_KIND_OF[shape.kind], shape.numbers)
    x, y, half_width, half_height = shape.numbers
    return _points_row("circle", [x, y, x + half_width, y]) if half_width == half_height else None


def _points_row(kind: str, numbers: Sequence[float]) -> dict[str, Any]:
    return {"shape_type": kind, "points": np.reshape(numbers, (-1, 2)).tolist()}


def _nested(polygons: list[Sequence[float]]) -> bool:
    """Tell whether a polygon is inside another, since it would be read as a hole of its group."""
    return any(a is not b and is_inside(a, b) for a in polygons for b in polygons)


def _mask_row(mask: Mask) -> dict[str, Any]:
    left, top, right, bottom = map(int, box_of_mask(mask))
    part = mask[top:bottom, left:right].astype(np.uint8) * np.uint8(255)
    buffer = io.BytesIO()
    PillowImage.fromarray(part).convert("1").save(buffer, "PNG")
    text = base64.b64encode(buffer.getvalue()).decode()
    return {"shape_type": "mask", "points": [[left, top], [right - 1, bottom - 1]], "mask": text}
