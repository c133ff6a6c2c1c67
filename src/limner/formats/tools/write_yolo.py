"""Write YOLO's text files: images/SPLIT, labels/SPLIT and data.yaml."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from limner.core.labels import LabelTable
from limner.core.yaml_text import dump_yaml
from limner.formats.dataset_yaml import write_dataset_file
from limner.formats.drawn import Drawn, corners
from limner.formats.shapes.polygons import outlines_of
from limner.formats.tools.yolo import Yolo
from limner.formats.writers import Entry, Outgoing, Writer, lists_of, member, numbered_from_1, settings_of
from limner.storage.whole_files import write_whole

NO_SPLIT = "other"
"""Folder of the images in no split, if others are in one."""


class WriteYolo(Writer):
    """One line per object: its polygon, or its box if it has nothing else."""

    name = Yolo.name
    takes_objects: ClassVar[bool] = True
    cannot_hold: ClassVar[Mapping[str, str]] = {
        "holes": "are filled",
        "several-parts": "each part becomes an object",
        "crowd": "become objects",
        "difficult": "the mark is dropped",
        "ignored": "become background",
        "field-of-view": "are kept, without its border",
        "unlabelled": "left out",
        "unreadable": "left out",
        "transcriptions": "are dropped",
    }

    def write_image(self, root: Path, image: Outgoing, labels: LabelTable) -> Entry | None:
        """Write the image with its text file."""
        if image.objects is None:
            return None
        folder = image.split or NO_SPLIT
        lines = [line for one in image.objects for line in _lines(one, image.size, labels)]
        image.copy_into(root / "images" / folder)
        write_whole(root / "labels" / folder / f"{image.stem}.txt", "".join(lines))
        return member(image)

    def finish(self, root: Path, entries: Iterable[Entry], labels: LabelTable) -> None:
        """Write the names and the splits."""
        names = [one.name for one in labels.foreground]
        content: dict[str, Any] = {"path": "."} | {split: f"images/{split}" for split in lists_of(entries)}
        content |= {"names": dict(enumerate(names))}
        write_whole(root / "data.yaml", dump_yaml(content))
        write_dataset_file(root, settings_of(numbered_from_1(labels), name=self.name, splits={}))


def _lines(drawn: Drawn, size: tuple[int, int], labels: LabelTable) -> list[str]:
    if drawn.value == labels.ignore_index:
        return []
    background = labels.background_index
    number = drawn.value - (background is not None and background < drawn.value)
    if drawn.is_box_only:
        left, top, right, bottom = drawn.bounds(*size)
        return [yolo_line(number, [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top], size)]
    if all(shape.kind in ("polygon", "ellipse", "box", "hole") for shape in drawn.shapes):
        solid = [corners(shape) for shape in drawn.shapes if shape.kind != "hole"]
    else:
        solid = [outline for is_hole, outline in outlines_of(drawn.mask(*size)) if not is_hole]
    return [yolo_line(number, polygon, size) for polygon in solid]


def yolo_line(number: int, numbers: Sequence[float], size: tuple[int, int]) -> str:
    """Return the line of an object.

    Args:
        number: Number of its class.
        numbers: x, y, x, y, ... in pixels: of a polygon, or the middle of a box, then its width and height.
        size: (H, W) of the image.
    """
    height, width = size
    parts = (n / (height if i % 2 else width) for i, n in enumerate(numbers))
    return " ".join([str(number), *(f"{part:.10g}" for part in parts)]) + "\n"
