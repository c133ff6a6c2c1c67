"""Supervisely's JSON: ann/NAME.jpg.json for img/NAME.jpg, with bitmaps, polygons, rectangles and more.

Whole coordinates name pixels, whose centres they mean; fractions are distances from the image's corner.
"""

import base64
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import ClassVar

from limner.core.errors import DataError
from limner.core.labels import alphabetical
from limner.formats.drawn import Drawn, Shape
from limner.formats.file_tree import FileTree, list_files
from limner.formats.problems import Problems, Report
from limner.formats.shapes.annotation_files import AnnotationFiles, LabelFile
from limner.formats.shapes.placed_masks import mask_of_png, placed
from limner.formats.shapes.valid_shapes import MAX_PIXELS, stated_size, valid_shapes
from limner.storage.json_files import JsonObject, ends, read_json_object
from limner.storage.usable_numbers import numbers_in, points_in

WHAT = "The Supervisely annotations"
EXPECTED = "JSON with `size` and a list `objects`"
MAX_LOOKED_AT = 20


class Supervisely(AnnotationFiles):
    """Objects drawn with Supervisely, downloaded in its own format."""

    name = "supervisely"
    title = "DATASET/img/ and DATASET/ann/ with a JSON for each image, and meta.json"
    suffix: ClassVar[str] = ".json"
    files_called: ClassVar[str] = "JSON files of Supervisely"
    boxes_are_masks: ClassVar[bool] = True

    @classmethod
    def label_files(cls, root: Path, tree: FileTree) -> Sequence[PurePosixPath]:
        """Return the JSON files in folders `ann`, if one of the first is Supervisely's."""
        files = [p for p in tree.others if p.suffix.casefold() == cls.suffix and p.parent.name == "ann"]
        return files if any(_is_supervisely(ends(root / path)) for path in files[:MAX_LOOKED_AT]) else ()

    def class_order(self, names: Iterable[str]) -> list[str]:
        """Return the order of the classes in meta.json if it has all the names."""
        found = list(alphabetical(names))
        for path in (path for path in list_files(self.root).others if path.name == "meta.json"):
            try:
                meta = read_json_object(self.root / path, what=WHAT, expected=EXPECTED)
            except DataError:
                continue
            listed = list(dict.fromkeys(row.text("title") for row in meta.children("classes")))
            if {*found} <= {*listed}:
                return [name for name in listed if name in found]
        return found

    def read_file(self, path: PurePosixPath, problems: Problems) -> LabelFile:
        """Parse one file.

        Raises:
            DataError: It is no JSON, or has no list of objects.
        """
        whole = read_json_object(self.root / path, what=WHAT, expected=EXPECTED, lists="objects")
        sides = whole.child("size")
        size = stated_size(sides.number("height"), sides.number("width"))
        if size is None:
            problems.add("size-not-stated", str(path), "no `size` of height and width", file=str(path))
        drawn = []
        for position, row in enumerate(whole.children("objects")):
            name = f"object {row.text('id') or position}"
            report = problems.at(f"{path}, {name}", file=str(path))
            if not row.text("classTitle"):
                report("annotation-malformed", "an object without `classTitle`")
            elif shapes := _shapes(row, size, report):
                drawn.append(Drawn(self.number_of(row.text("classTitle")), shapes, name=name))
        return LabelFile(drawn, path.stem, size)


def _is_supervisely(both: bytes) -> bool:
    return b'"objects"' in both and b'"size"' in both and (b'"geometryType"' in both or b'"tags"' in both)


def _shapes(row: JsonObject, size: tuple[int, int] | None, report: Report) -> tuple[Shape, ...]:
    kind = row.text("geometryType")
    if kind in ("bitmap", "alpha_mask"):
        shape = _bitmap(row.child("bitmap"), size, report)
        return (shape,) if shape else ()
    points = row.child("points")
    exterior = points_in(points.value("exterior"))
    holes = [points_in(hole) for hole in points.items("interior")]
    if kind not in ("polygon", "rectangle", "line", "point"):
        report("shape-unknown", f"an object of kind {kind!r}")
        return ()
    if not exterior or None in holes:
        report("annotation-malformed", f"a {kind} without `points`: [[x, y], ...]")
        return ()
    if kind in ("line", "point"):
        report("drawn-by-width", f"a {kind}")
    centre = 0.5 * (exterior == [int(n) for n in exterior])
    if kind == "rectangle":
        exterior = [*exterior[:2], *(n + 2 * centre for n in exterior[2:])]
        return valid_shapes([Shape("box", exterior)], size, report)
    listed = [Shape("hole", [n + centre for n in hole or ()]) for hole in holes]
    return valid_shapes([Shape(kind, [n + centre for n in exterior]), *listed], size, report)  # type: ignore[arg-type]


def _bitmap(row: JsonObject, size: tuple[int, int] | None, report: Report) -> Shape | None:
    """Read a mask: a PNG, compressed once more and in base64, of the part from `origin` on."""
    origin = numbers_in(row.value("origin"))
    try:
        packed = base64.b64decode(row.text("data"), validate=True)
        mask = mask_of_png(zlib.decompressobj().decompress(packed, MAX_PIXELS))
    except (ValueError, zlib.error):
        report("annotation-malformed", "a bitmap whose `data` is no compressed PNG in base64")
        return None
    if size is None or origin is None or len(origin) != 2:
        report("annotation-malformed", "a bitmap without `origin` [x, y], or without the image's size")
        return None
    return placed(mask, int(origin[0]), int(origin[1]), size, report)
