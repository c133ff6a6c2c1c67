"""DOTA's text files: four corners of an oriented box, a class and a difficulty in each line, in pixels."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import ClassVar

from limner.formats.drawn import Drawn, Shape
from limner.formats.file_tree import FileTree
from limner.formats.problems import Problems
from limner.formats.shapes.annotation_files import AnnotationFiles, LabelFile
from limner.formats.shapes.valid_shapes import valid_shapes
from limner.storage.json_files import ends
from limner.storage.text_files import read_lines
from limner.storage.usable_numbers import number_of

MAX_LOOKED_AT = 20
_NUM_CORNERS = 8
_HEADS = ("imagesource", "gsd", "acquisition dates")


class Dota(AnnotationFiles):
    """Oriented boxes of aerial images, read as outlines of four corners."""

    name = "dota"
    title = "labelTxt/ beside images/, a text file for each image: x1 y1 ... x4 y4 class difficult"
    suffix: ClassVar[str] = ".txt"
    files_called: ClassVar[str] = "text files of DOTA"

    @classmethod
    def label_files(cls, root: Path, tree: FileTree) -> Sequence[PurePosixPath]:
        """Return the text files named after an image, if one of the first holds DOTA's lines."""
        stems = {path.stem for path in tree.images}
        files = [p for p in tree.others if p.suffix.casefold() == cls.suffix and p.stem in stems]
        return files if any(_is_dota(root / path) for path in files[:MAX_LOOKED_AT]) else ()

    def read_file(self, path: PurePosixPath, problems: Problems) -> LabelFile:
        """Parse one file.

        Raises:
            DataError: It cannot be read, or is no text.
        """
        drawn = []
        for number, line in enumerate(read_lines(self.root / path, what="The DOTA labels"), start=1):
            words = line.split()
            if not words or line.casefold().startswith(_HEADS):
                continue
            name = f"line {number}"
            report = problems.at(f"{path}, {name}", file=str(path))
            corners = [n for word in words[:_NUM_CORNERS] if (n := number_of(word)) is not None]
            if len(corners) < _NUM_CORNERS or len(words) == _NUM_CORNERS:
                report("annotation-malformed", f"{line[:60]!r}: no four corners with a class")
                continue
            if shapes := valid_shapes([Shape("polygon", corners)], None, report):
                label, hard = words[_NUM_CORNERS], words[_NUM_CORNERS + 1 :][:1]
                is_difficult = hard not in ([], ["0"])
                drawn.append(Drawn(self.number_of(label), shapes, is_difficult=is_difficult, name=name))
        return LabelFile(drawn)


def _is_dota(path: Path) -> bool:
    """Tell whether the first line that is no heading has eight numbers, a word, and perhaps 0, 1 or 2."""
    lines = ends(path).decode("utf-8", "replace").splitlines()
    rows = [line.split() for line in lines if line.strip() and not line.casefold().startswith(_HEADS)]
    if not rows or len(rows[0]) not in (_NUM_CORNERS + 1, _NUM_CORNERS + 2):
        return False
    *corners, label = rows[0][: _NUM_CORNERS + 1]
    hard = rows[0][_NUM_CORNERS + 1 :]
    numbers = [number_of(word) for word in corners]
    return None not in numbers and number_of(label) is None and hard in ([], ["0"], ["1"], ["2"])
