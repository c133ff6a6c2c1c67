"""labelme's JSON, one file per image: polygons, rectangles, circles, lines, points and masks.

Shapes with the same label and `group_id` are one object; a polygon inside another one of its group is a hole.
"""

import base64
from collections.abc import Iterable, Sequence
from math import dist
from pathlib import Path, PurePosixPath
from typing import ClassVar

from limner.core.errors import DataError
from limner.formats.drawn import Drawn, Shape
from limner.formats.file_tree import FileTree, list_files
from limner.formats.problems import Problems, Report
from limner.formats.shapes.annotation_files import AnnotationFiles, LabelFile
from limner.formats.shapes.placed_masks import mask_of_png, placed
from limner.formats.shapes.polygons import area, is_inside
from limner.formats.shapes.valid_shapes import stated_size, valid_shapes
from limner.storage.json_files import JsonObject, ends, read_json, read_json_object
from limner.storage.text_files import read_text
from limner.storage.usable_numbers import points_in

WHAT = "The labelme annotations"
EXPECTED = "JSON with a list `shapes` and the name of the image, `imagePath`"
NAME_LISTS = ("labels.txt", "class_names.txt")
MAX_LOOKED_AT = 20
"""Number of JSON files of a folder that are opened to recognise them."""


class Labelme(AnnotationFiles):
    """Objects drawn with labelme, or with another tool that writes its JSON."""

    name = "labelme"
    title = "a JSON file for each image, beside it or with the image inside"
    suffix: ClassVar[str] = ".json"
    files_called: ClassVar[str] = "JSON files of labelme"
    boxes_are_masks: ClassVar[bool] = True

    @classmethod
    def label_files(cls, root: Path, tree: FileTree) -> Sequence[PurePosixPath]:
        """Return the JSON files of folders where one of the first files is labelme's."""
        if "labelme" not in tree.remembered:
            tree.remembered["labelme"] = _label_files(root, tree)
        found: Sequence[PurePosixPath] = tree.remembered["labelme"]
        return found

    def class_order(self, names: Iterable[str]) -> list[str]:
        """Return the order of labelme's own list if it has all the names."""
        found, tree = super().class_order(names), list_files(self.root)
        for path in (path for path in tree.others if path.name in NAME_LISTS):
            try:
                lines = read_text(self.root / path).splitlines()
            except (OSError, ValueError):  # the order alone is lost
                continue
            listed = [name for line in lines if (name := line.strip()) and not name.startswith("_")]
            if {*found} <= {*listed} and len({*listed}) == len(listed):
                return listed
        return found

    def read_file(self, path: PurePosixPath, problems: Problems) -> LabelFile:
        """Parse one file.

        Raises:
            DataError: It is no JSON, or has no list of shapes.
        """
        whole = read_json_object(self.root / path, what=WHAT, expected=EXPECTED, lists="shapes")
        size = stated_size(whole.number("imageHeight"), whole.number("imageWidth"))
        if size is None:
            problems.add("size-not-stated", str(path), "no `imageHeight` and `imageWidth`", file=str(path))
        drawn = [
            one
            for position, group in _grouped(whole.children("shapes"))
            if (one := self._object(group, f"shape {position}", size, path, problems))
        ]
        return LabelFile(drawn, whole.text("imagePath"), size, holds_image=whole.is_set("imageData"))

    def _object(
        self,
        group: list[JsonObject],
        name: str,
        size: tuple[int, int] | None,
        path: PurePosixPath,
        problems: Problems,
    ) -> Drawn | None:
        report = problems.at(f"{path}, {name}", file=str(path))
        label = group[0].text("label")
        if not label.strip():
            report("annotation-malformed", "a shape without a label")
            return None
        found = [shape for row in group for shape in _shapes(row, size, report)]
        runs = [shape for shape in found if shape.kind == "runs"]
        shapes = (*valid_shapes([s for s in found if s.kind != "runs"], size, report), *runs)
        if not shapes:
            return None
        flags = {key.casefold() for row in group for key in row.child("flags").set_names}
        return Drawn(
            self.number_of(label),
            _with_holes(shapes) if len(group) > 1 else shapes,
            is_crowd=bool(flags & {"crowd", "iscrowd"}),
            is_difficult="difficult" in flags,
            name=name,
        )


def _label_files(root: Path, tree: FileTree) -> list[PurePosixPath]:
    by_folder: dict[PurePosixPath, list[PurePosixPath]] = {}
    for path in tree.others:
        if path.suffix.casefold() == ".json":
            by_folder.setdefault(path.parent, []).append(path)
    return [
        path
        for paths in by_folder.values()
        if any(_is_labelme(root / path) for path in paths[:MAX_LOOKED_AT])
        for path in paths
        if len(paths) > MAX_LOOKED_AT or _is_labelme(root / path) or not _is_json(root / path)
    ]


def _is_labelme(path: Path) -> bool:
    both = ends(path)
    return b'"shapes"' in both and (b'"imagePath"' in both or b'"imageHeight"' in both)


def _is_json(path: Path) -> bool:
    """Tell whether a file can be parsed; a damaged file beside labelme's counts as one of them."""
    try:
        read_json(path, what=WHAT, expected=EXPECTED)
    except DataError:
        return False
    return True


def _grouped(rows: Sequence[JsonObject]) -> list[tuple[int, list[JsonObject]]]:
    """Return the shapes of each object with the position of the first."""
    groups: dict[object, tuple[int, list[JsonObject]]] = {}
    for position, row in enumerate(rows):
        group = row.text("group_id")
        key = (group, row.text("label")) if group else position
        groups.setdefault(key, (position, []))[1].append(row)
    return list(groups.values())


def _shapes(row: JsonObject, size: tuple[int, int] | None, report: Report) -> list[Shape]:
    kind, flat, label = row.text("shape_type") or "polygon", points_in(row.value("points")), row.text("label")
    if flat is None:
        report("annotation-malformed", f"{label!r}: `points` is no [[x, y], ...]")
        return []
    if kind == "mask":
        return _mask(row, flat, size, report)
    if kind in ("polygon", "rotation", "oriented_rectangle"):
        return [Shape("polygon", flat)]
    if kind == "rectangle" and len(flat) >= 4:
        return [Shape("box", [min(flat[::2]), min(flat[1::2]), max(flat[::2]), max(flat[1::2])])]
    if kind == "circle" and len(flat) == 4:
        radius = dist(flat[:2], flat[2:])
        return [Shape("ellipse", [*flat[:2], radius, radius])]
    if kind in ("line", "linestrip"):
        report("drawn-by-width", f"{label!r} is a {kind}")
        return [Shape("line", flat)]
    if kind in ("point", "points"):
        report("drawn-by-width", f"{label!r} is a {kind}")
        return [Shape("point", flat[i : i + 2]) for i in range(0, len(flat), 2)]
    report("shape-unknown", f"a {kind} of {len(flat) // 2} points")
    return []


def _mask(row: JsonObject, corners: list[float], size: tuple[int, int] | None, report: Report) -> list[Shape]:
    """Read a drawn mask: a base64 PNG that fills the box between the two stated corners."""
    try:
        pixels = mask_of_png(base64.b64decode(row.text("mask"), validate=True))
    except ValueError:  # binascii's error is one
        report("annotation-malformed", f"{row.text('label')!r}: `mask` is no PNG in base64")
        return []
    if size is None or len(corners) < 4:
        report("annotation-malformed", f"{row.text('label')!r}: a mask without size or corners")
        return []
    shape = placed(pixels, max(0, round(corners[0])), max(0, round(corners[1])), size, report)
    return [shape] if shape else []


def _with_holes(shapes: Sequence[Shape]) -> tuple[Shape, ...]:
    """Turn polygons inside another one of the group into holes; as parts they would change nothing."""
    polygons = [shape for shape in shapes if shape.kind == "polygon"]

    def is_hole(shape: Shape) -> bool:
        size = area(shape.numbers)
        return any(
            other is not shape and area(other.numbers) > size and is_inside(shape.numbers, other.numbers)
            for other in polygons
        )

    holes = [shape for shape in polygons if is_hole(shape)]
    parts = [shape for shape in shapes if not any(shape is hole for hole in holes)]
    return (*parts, *(Shape("hole", shape.numbers) for shape in holes))
