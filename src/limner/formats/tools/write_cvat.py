"""Write CVAT's XML (`CVAT for images 1.1`): images/, annotations.xml, and labels.json for a new task."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from limner.core.labels import LabelTable
from limner.core.segments import Mask
from limner.formats.dataset_yaml import write_dataset_file
from limner.formats.drawn import Drawn, Shape, box_of_mask, runs_of_mask
from limner.formats.tools.cvat import Cvat
from limner.formats.writers import Entry, Outgoing, Writer, numbered_from_1, settings_of
from limner.storage.json_files import write_json
from limner.storage.whole_files import GrowingFile

ANNOTATIONS = "annotations.xml"
LABELS = "labels.json"
"""The labels as CVAT's `Raw` constructor of tasks takes them, with the attribute for the scores."""
SCORE = "score"

_LISTS_OF_POINTS: Mapping[str, str] = {"polygon": "polygon", "line": "polyline", "point": "points"}


class WriteCvat(Writer):
    """Shapes stay as drawn, those of one object in one group; with holes or of pixels, they become masks."""

    name = Cvat.name
    takes_objects: ClassVar[bool] = True
    cannot_hold: ClassVar[Mapping[str, str]] = {
        "crowd": "become objects",
        "difficult": "the mark is dropped",
        "ignored": "become background",
        "field-of-view": "are kept, without its border",
        "unlabelled": "left out",
        "unreadable": "left out",
        "transcriptions": "are dropped",
    }

    def write_image(self, root: Path, image: Outgoing, labels: LabelTable) -> Entry | None:
        """Write the image, and return its element of the XML."""
        if image.objects is None:
            return None
        name = image.copy_into(root / "images")
        item = ElementTree.Element("image", {"name": name})
        if image.split is not None:
            item.set("subset", image.split)
        item.set("width", str(image.size[1]))
        item.set("height", str(image.size[0]))
        for number, drawn in enumerate(image.objects, start=1):
            if drawn.value != labels.ignore_index:
                item.extend(_elements(drawn, number, image.size, labels))
        return {"xml": ElementTree.tostring(item, encoding="unicode")}

    def finish(self, root: Path, entries: Iterable[Entry], labels: LabelTable) -> None:
        """Write the annotations of all images, the labels and the settings."""
        with GrowingFile(root / ANNOTATIONS) as file:
            file.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n')
            file.write(f"{_meta(labels)}\n")
            for number, entry in enumerate(entries):
                file.write(entry["xml"].replace("<image ", f'<image id="{number}" ', 1) + "\n")
            file.write("</annotations>\n")
        write_json(root / LABELS, _constructor(labels))
        write_dataset_file(root, settings_of(numbered_from_1(labels), name=self.name, splits={}))


def _elements(
    drawn: Drawn, number: int, size: tuple[int, int], labels: LabelTable
) -> Iterable[ElementTree.Element]:
    """Yield the elements of an object."""
    shapes = drawn.shapes
    kinds = {shape.kind for shape in shapes}
    shared = {"label": labels.names[drawn.value], "source": "manual" if drawn.score is None else "auto"}
    shared |= {"occluded": "0", "z_order": str(drawn.height)}
    if kinds & {"hole", "runs"}:
        items = [ElementTree.Element("mask", shared | _runs(drawn.mask(*size)))]
    else:
        shared |= {"group_id": str(number)} if len(shapes) > 1 else {}
        items = [_element(shape, shared) for shape in shapes]
    for item in items:
        if drawn.score is not None:
            ElementTree.SubElement(item, "attribute", {"name": SCORE}).text = f"{drawn.score:.3f}"
        yield item


def _element(shape: Shape, shared: Mapping[str, str]) -> ElementTree.Element:
    keys = {"box": ("xtl", "ytl", "xbr", "ybr"), "ellipse": ("cx", "cy", "rx", "ry")}.get(shape.kind)
    if keys is not None:
        sides = dict(zip(keys, map(_number, shape.numbers), strict=True))
        return ElementTree.Element(shape.kind, {**shared, **sides})
    pairs = zip(shape.numbers[::2], shape.numbers[1::2], strict=True)
    points = ";".join(f"{_number(x)},{_number(y)}" for x, y in pairs)
    return ElementTree.Element(_LISTS_OF_POINTS[shape.kind], {**shared, "points": points})


def _number(value: float) -> str:
    """Return a coordinate; a hundredth of a pixel is what CVAT itself writes, and more is kept."""
    return f"{value:.10g}"


def _runs(mask: Mask) -> dict[str, str]:
    """Return a mask's box, and its run lengths along the rows of the box, pixels outside first."""
    left, top, right, bottom = map(int, box_of_mask(mask))
    part = mask[top:bottom, left:right]
    runs = runs_of_mask(np.asarray(part.T))
    sides = {"left": left, "top": top, "width": right - left, "height": bottom - top}
    return {"rle": ",".join(map(str, runs)), **{key: str(side) for key, side in sides.items()}}


def _meta(labels: LabelTable) -> str:
    meta = ElementTree.Element("meta")
    listed = ElementTree.SubElement(ElementTree.SubElement(meta, "task"), "labels")
    for one in labels.foreground:
        label = ElementTree.SubElement(listed, "label")
        ElementTree.SubElement(label, "name").text = one.name
        ElementTree.SubElement(label, "color").text = one.hex_color
    return ElementTree.tostring(meta, encoding="unicode")


def _constructor(labels: LabelTable) -> Sequence[Mapping[str, object]]:
    """Return the labels of a new task; a text attribute takes any score."""
    score = {"name": SCORE, "mutable": False, "input_type": "text", "default_value": "", "values": []}
    return [{"name": one.name, "color": one.hex_color, "attributes": [score]} for one in labels.foreground]
