"""Datumaro's JSON, which CVAT exports too: categories, and items with polygons, boxes, masks and more."""

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from limner.core.labels import alphabetical
from limner.core.sample import Record
from limner.formats.coco.coco_annotations import runs_of
from limner.formats.drawn import Drawn, Shape, corners
from limner.formats.file_tree import FileTree
from limner.formats.problems import Problems, Report
from limner.formats.shapes.listed_images import Drawing, Listed, ListedImages
from limner.formats.shapes.valid_shapes import stated_size, valid_shapes
from limner.formats.tools.cvat import rotate
from limner.storage.json_files import JsonObject, read_json_object, unreadable
from limner.storage.usable_numbers import numbers_in

WHAT = "The Datumaro annotations"
EXPECTED = "JSON with `categories` and a list `items`"
_NOT_DRAWN = ("label", "caption")


class Datumaro(ListedImages):
    """Objects of Datumaro's own format; annotations of one group are one object."""

    name = "datumaro"
    title = "Datumaro's JSON (annotations/SUBSET.json with items), with the images in images/ or beside it"

    @classmethod
    def is_one(cls, both: bytes) -> bool:
        """Tell by the items and their labels."""
        return b'"items"' in both and b'"label_id"' in both and b'"categories"' in both

    def gather(self, tree: FileTree, problems: Problems) -> Iterator[Record]:
        """Yield the records; the classes keep the order of the labels."""
        self._order: list[str] = []
        yield from super().gather(tree, problems)

    def class_order(self, names: Iterable[str]) -> list[str]:
        """Return the order of the labels in the files."""
        return sorted(alphabetical(names), key=self._order.index)

    def listed(self, path: PurePosixPath, tree: FileTree) -> Iterator[Listed]:
        """Yield the items of one file, which is named after their subset.

        Raises:
            DataError: It is no JSON, or has no list of items.
        """
        whole = read_json_object(self.root / path, what=WHAT, expected=EXPECTED, lists="items")
        labels = whole.child("categories").child("label").children("labels")
        names = [row.text("name") for row in labels]
        if not all(names):
            found = "a label without a name under `categories`"
            raise unreadable(self.root / path, what=WHAT, found=found, expected=EXPECTED)
        self._order += [name for name in names if name not in self._order]
        for item in whole.children("items"):
            name = item.text("id")
            listed = [file for file in (item.child("image").text("path"), name) if file]
            yield Listed(listed or [""], f"{path}, item {name}", (names, item), near=path.stem)

    def draw(self, listed: Listed, image: PurePosixPath, problems: Problems) -> Drawing:
        """Return the objects of an item, and its size."""
        names, item = listed.item
        sides = numbers_in(item.child("image").value("size")) or []
        size = stated_size(*sides) if len(sides) == 2 else None
        groups: dict[object, list[tuple[JsonObject, Shape]]] = {}
        for position, row in enumerate(item.children("annotations")):
            report = problems.at(f"{listed.where}, annotation {row.text('id') or position}", file=str(image))
            label = row.number("label_id")
            if row.text("type") in _NOT_DRAWN:
                continue
            if label is None or label % 1 or not 0 <= label < len(names):
                report("category-unknown", f"`label_id` {row.value('label_id')!r}, of {len(names)} labels")
                continue
            shape = _shape(row, size, report)
            checked = (
                [shape] if shape is None or shape.kind == "runs" else valid_shapes([shape], size, report)
            )
            group = (row.number("group"), label) if row.is_set("group") else position
            groups.setdefault(group, []).extend((row, one) for one in checked if one)
        return [self._object(rows, names) for rows in groups.values() if rows], size

    def _object(self, rows: list[tuple[JsonObject, Shape]], names: list[str]) -> Drawn:
        first = rows[0][0]
        return Drawn(
            self.number_of(names[int(first.number("label_id") or 0)]),
            tuple(shape for _, shape in rows),
            is_crowd=any(row.child("attributes").is_set("is_crowd") for row, _ in rows),
            name=f"annotation {first.text('id')}",
            height=max(int(row.number("z_order") or 0) for row, _ in rows),
        )


def _shape(row: JsonObject, size: tuple[int, int] | None, report: Report) -> Shape | None:
    kind = row.text("type")
    if kind == "mask":
        return _runs(row.child("rle"), size, report)
    key = "bbox" if kind == "bbox" else "points"
    numbers = numbers_in(row.value(key))
    if kind not in ("bbox", "polygon", "polyline", "points", "ellipse"):
        report("shape-unknown", f"an annotation of type {kind!r}")
        return None
    if not numbers or len(numbers) % 2 or (kind in ("bbox", "ellipse") and len(numbers) != 4):
        report("annotation-malformed", f"a {kind} without its numbers in `{key}`")
        return None
    if kind == "bbox":
        left, top, width, height = numbers
        box = Shape("box", [left, top, left + width, top + height])
        turn = row.child("attributes").number("rotation") or 0
        return Shape("polygon", rotate(corners(box), turn)) if turn % 360 else box
    if kind == "polygon":
        return Shape("polygon", numbers)
    if kind == "ellipse":  # the corners of its box
        left, top, right, bottom = numbers
        half = [(right - left) / 2, (bottom - top) / 2]
        return Shape("ellipse", [left + half[0], top + half[1], *map(abs, half)])
    report("drawn-by-width", f"a {kind}")
    if kind == "points" and len(numbers) != 2:
        report("shape-unknown", f"an annotation of {len(numbers) // 2} points")
        return None
    return Shape("line" if kind == "polyline" else "point", numbers)


def _runs(row: JsonObject, size: tuple[int, int] | None, report: Report) -> Shape | None:
    """Read COCO's run lengths."""
    try:
        runs = runs_of(row)
    except ValueError:
        report("rle-wrong-length", "run lengths that cannot be read")
        return None
    if size is None or sum(runs) != size[0] * size[1]:
        report("rle-wrong-length", f"{sum(runs)} pixels, of an image of {size or 'no stated size'}")
        return None
    if not any(runs[1::2]):
        report("annotation-empty", "run lengths with no pixel inside")
        return None
    return Shape("runs", runs)
