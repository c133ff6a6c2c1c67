"""Write PASCAL VOC's boxes: JPEGImages, Annotations (XML) and ImageSets/Main."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar

from limner.core.labels import LabelTable
from limner.formats.dataset_yaml import write_dataset_file
from limner.formats.drawn import Drawn
from limner.formats.tools.voc_boxes import SIDES, VocBoxes
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
from limner.storage.whole_files import write_whole

_LISTS = "ImageSets/Main"
LEAST = 0.001
"""Pixels by which the last side of a box is beyond the first where the box is one pixel wide."""


class WriteVocBoxes(Writer):
    """The stated box of each object, else the one around it; pixels are counted from 1."""

    name = VocBoxes.name
    takes_objects: ClassVar[bool] = True
    cannot_hold: ClassVar[Mapping[str, str]] = {
        "masks": "become boxes",
        "crowd": "become boxes of objects",
        "ignored": "are not written",
        "field-of-view": "are kept, without its border",
        "unreadable": "left out",
        "transcriptions": "are dropped",
    }

    def write_image(self, root: Path, image: Outgoing, labels: LabelTable) -> Entry:
        """Write the image with its XML."""
        name = image.copy_into(root / "JPEGImages")
        if image.objects is not None:
            write_whole(root / "Annotations" / f"{image.stem}.xml", voc_xml(image, name, labels))
        return member(image)

    def finish(self, root: Path, entries: Iterable[Entry], labels: LabelTable) -> None:
        """Write lists and settings."""
        lists = lists_of(entries)
        write_stem_lists(root / _LISTS, lists or {"trainval": [entry["stem"] for entry in entries]})
        splits = {split: f"{_LISTS}/{split}.txt" for split in lists}
        write_dataset_file(root, settings_of(numbered_from_1(labels), name=self.name, splits=splits))


def voc_xml(image: Outgoing, name: str, labels: LabelTable) -> bytes:
    """Return the XML of an image's objects.

    Args:
        image: The image; its objects have trained labels.
        name: Name of the image file.
        labels: The classes.
    """
    root = ElementTree.Element("annotation")
    _add(root, "folder", "JPEGImages")
    _add(root, "filename", name)
    size = ElementTree.SubElement(root, "size")
    for side, pixels in (("width", image.size[1]), ("height", image.size[0])):
        _add(size, side, str(pixels))
    for drawn in image.objects or ():
        if drawn.value != labels.ignore_index:
            _add_object(root, drawn, image.size, labels)
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _add_object(root: ElementTree.Element, drawn: Drawn, size: tuple[int, int], labels: LabelTable) -> None:
    item = ElementTree.SubElement(root, "object")
    _add(item, "name", labels.names[drawn.value])
    _add(item, "difficult", str(int(drawn.is_difficult)))
    box = ElementTree.SubElement(item, "bndbox")
    left, top, right, bottom = drawn.bounds(*size)
    # The first pixel is 1: a 0 would say that pixels are counted from 0; equal numbers, that there is no box.
    first = max(1.0, left + 1), max(1.0, top + 1)
    last = max(right, first[0] + LEAST), max(bottom, first[1] + LEAST)
    for side, number in zip(SIDES, (*first, *last), strict=True):
        _add(box, side, f"{number:.9g}")


def _add(parent: ElementTree.Element, tag: str, text: str) -> None:
    ElementTree.SubElement(parent, tag).text = text
