"""PASCAL VOC's boxes: an XML file for each image, often in Annotations/ beside JPEGImages/.

VOC counts pixels from 1 and includes the last one: xmin 1 and xmax 3 are the first three pixels. Tools that
count from 0 are recognised by a 0 in any of the files; their numbers are used as they are.
"""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import ClassVar

from limner.core.sample import Record
from limner.formats.drawn import Drawn, Shape
from limner.formats.file_tree import FileTree
from limner.formats.problems import Problems, Report
from limner.formats.shapes.annotation_files import AnnotationFiles, LabelFile
from limner.formats.shapes.valid_shapes import stated_size, valid_shapes
from limner.formats.split_lists import lists_beside, lists_in
from limner.storage.json_files import ends
from limner.storage.xml_files import number_in, read_xml, text_in

SIDES = ("xmin", "ymin", "xmax", "ymax")
MAX_LOOKED_AT = 20
_ROOT = re.compile(rb"<annotation[\s>]")


class VocBoxes(AnnotationFiles):
    """Boxes with the flag `difficult`; polygons beside them are not read."""

    name = "voc-boxes"
    title = "PASCAL VOC's boxes: an XML file for each image, of the image's name"
    suffix: ClassVar[str] = ".xml"
    files_called: ClassVar[str] = "XML files with boxes"

    @classmethod
    def label_files(cls, root: Path, tree: FileTree) -> Sequence[PurePosixPath]:
        """Return the XML files if one of the first is VOC's."""
        files = [path for path in tree.others if path.suffix.casefold() == cls.suffix]
        # LabelImg writes `<annotation verified="yes">` for files that were reviewed.
        return files if any(_ROOT.search(ends(root / path)) for path in files[:MAX_LOOKED_AT]) else ()

    def split_lists(self, tree: FileTree, records: tuple[Record, ...]) -> dict[str, str]:
        """Return the lists in ImageSets/Main, else those beside the data."""
        folders = {path.parent for path in tree.others if path.parent.parent.name == "ImageSets"}
        for folder in sorted(folders, key=lambda folder: (folder.name != "Main", folder)):
            if lists := lists_in(tree, folder):
                return lists
        return lists_beside(tree, records)

    def gather(self, tree: FileTree, problems: Problems) -> Iterator[Record]:
        """Yield a record for each image, and find out whether pixels are counted from 0 or from 1."""
        self._counts_from_0 = False
        yield from super().gather(tree, problems)

    def read_objects(self, record: Record) -> Sequence[Drawn]:
        """Return the boxes, with pixels counted from 0."""
        drawn = super().read_objects(record)
        if self._counts_from_0:
            return drawn
        return [replace(one, shapes=tuple(_from_0(shape) for shape in one.shapes)) for one in drawn]

    def reading_state(self, record: Record) -> str:
        """Return also whether pixels are counted from 0, which any other file may say."""
        return f"{super().reading_state(record)} {self._counts_from_0}"

    def read_file(self, path: PurePosixPath, problems: Problems) -> LabelFile:
        """Parse one file.

        Raises:
            DataError: It is no XML, or no annotation.
        """
        whole = read_xml(self.root / path, root="annotation", what="The VOC annotations")
        size = stated_size(number_in(whole, "size/height"), number_in(whole, "size/width"))
        if size is None:
            problems.add("size-not-stated", str(path), "no <size> with width and height", file=str(path))
        drawn = []
        for position, item in enumerate(whole.iter("object")):
            name = f"object {position}"
            report = problems.at(f"{path}, {name}", file=str(path))
            if one := self._object(item, name, size, report):
                drawn.append(one)
        return LabelFile(drawn, text_in(whole, "filename"), size)

    def _object(
        self, item: ElementTree.Element, name: str, size: tuple[int, int] | None, report: Report
    ) -> Drawn | None:
        label = text_in(item, "name")
        sides = [number_in(item, f"bndbox/{side}") for side in SIDES]
        if not label or any(side is None for side in sides):
            report("annotation-malformed", "an <object> without a <name> or the four sides of a <bndbox>")
            return None
        numbers = [side for side in sides if side is not None]
        shapes = valid_shapes([Shape("box", numbers)], size, report)
        self._counts_from_0 |= bool(shapes) and min(numbers) <= 0
        is_difficult = bool(number_in(item, "difficult"))
        return Drawn(self.number_of(label), shapes, is_difficult=is_difficult, name=name) if shapes else None


def _from_0(shape: Shape) -> Shape:
    left, top, right, bottom = shape.numbers
    return Shape("box", [left - 1, top - 1, right, bottom])
