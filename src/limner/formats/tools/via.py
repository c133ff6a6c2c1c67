"""VGG Image Annotator (VIA 2): regions of many images in one JSON (a project or an export) or CSV.

The class of a region is one of its attributes.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from math import degrees
from pathlib import PurePosixPath
from typing import ClassVar

from limner.core.errors import ConfigError, describe
from limner.core.sample import Record
from limner.formats.drawn import Drawn, Shape, corners
from limner.formats.file_tree import FileTree
from limner.formats.problems import Problems, Report
from limner.formats.shapes.listed_images import Drawing, Listed, ListedImages
from limner.formats.shapes.valid_shapes import valid_shapes
from limner.formats.tools.cvat import rotate
from limner.storage.csv_files import read_csv
from limner.storage.json_files import JsonObject, as_shown, parse_json, read_json_object, unreadable
from limner.storage.usable_numbers import numbers_in

WHAT = "The VIA annotations"
EXPECTED = "VIA 2: `filename` and `regions` for each image"
NO_CLASS = "object"
"""Class of all regions if none has an attribute."""

_CLASS_WORDS = ("class", "label", "category", "type", "name", "object", "class_name", "species")


class Via(ListedImages):
    """Objects drawn with VIA 2; the attribute that names the classes is found, or asked for."""

    name = "via"
    title = "VIA's JSON (a project or `Export Annotations`) or CSV, with the images beside it"
    suffixes: ClassVar[tuple[str, ...]] = (".json", ".csv")

    @classmethod
    def is_one(cls, both: bytes) -> bool:
        """Tell by the keys of regions, or of a project without any."""
        return any(
            mark in both for mark in (b'"shape_attributes"', b"_via_img_metadata", b"region_shape_attr")
        )

    def gather(self, tree: FileTree, problems: Problems) -> Iterator[Record]:
        """Choose the attribute that names the classes, then yield the records."""
        files = self.label_files(self.root, tree) or self.candidates(tree)
        self._images = {path: self._read(path) for path in files}  # until they are listed
        regions = [region for images in self._images.values() for _, found in images for region in found]
        self._attribute = self._class_attribute(regions, problems)
        yield from super().gather(tree, problems)
        self._images = {}

    def listed(self, path: PurePosixPath, tree: FileTree) -> Iterator[Listed]:
        """Yield the images of one file."""
        for name, regions in self._images[path]:
            yield Listed([name.replace("\\", "/")], f"{path}, {name}", regions)

    def draw(self, listed: Listed, image: PurePosixPath, problems: Problems) -> Drawing:
        """Return the regions of an image; VIA states no size."""
        drawn = []
        for position, region in enumerate(listed.item):
            name = f"region {position}"
            report = problems.at(f"{listed.where}, {name}", file=str(image))
            label = self._label(region.child("region_attributes"), report)
            shape = _shape(region.child("shape_attributes"), report)
            if label and shape and (shapes := valid_shapes([shape], None, report)):
                drawn.append(Drawn(self.number_of(label), shapes, name=name))
        return drawn, None

    def _label(self, attributes: JsonObject, report: Report) -> str:
        if not self._attribute:
            return NO_CLASS
        chosen = attributes.child(self._attribute).set_names  # boxes to tick are an object
        if len(chosen) > 1:
            report("several-labels", f"a region with the labels {', '.join(chosen)}")
        label = attributes.text(self._attribute).strip() or next(iter(chosen), "")
        if not label:
            report("annotation-malformed", f"a region without a value of {self._attribute!r}")
        return label

    def _class_attribute(self, regions: Iterable[JsonObject], problems: Problems) -> str:
        """Return the attribute that names the classes; empty if no region has one."""
        values: dict[str, Counter[str]] = {}
        for region in regions:
            attributes = region.child("region_attributes")
            for key in attributes.names:
                values.setdefault(key, Counter())[attributes.text(key) or repr(attributes.child(key))] += 1
        wanted = self.settings.class_attribute
        if wanted is not None and wanted not in values:
            raise ConfigError(
                describe(
                    "No region has the attribute `class_attribute` of dataset.yaml",
                    where=self.root,
                    found=repr(wanted),
                    expected=f"one of {', '.join(map(repr, values)) or 'none: regions have no attribute'}",
                )
            )
        if wanted is not None or not values:
            return wanted or ""
        likely = sorted(values, key=lambda key: (_rank(key), -sum(values[key].values())))
        if len(values) > 1 and not (_rank(likely[0]) < len(_CLASS_WORDS) <= _rank(likely[1])):
            shown = "; ".join(f"{key}: {', '.join([*values[key]][:4])}" for key in likely[:4])
            found = f"{len(values)} attributes ({shown})"
            problems.add("attribute-unclear", self.name, found, proposal={"class_attribute": likely[0]})
        return likely[0]

    def _read(self, path: PurePosixPath) -> list[tuple[str, list[JsonObject]]]:
        """Return the name and the regions of each image of a file."""
        if path.suffix.casefold() == ".csv":
            return self._read_csv(path)
        whole = read_json_object(self.root / path, what=WHAT, expected=EXPECTED)
        images = whole.child("_via_img_metadata") if "_via_img_metadata" in whole else whole
        found = []
        for key in images.names:
            image = images.child(key)
            if "regions" not in image or not image.text("filename"):
                raise unreadable(self.root / path, what=WHAT, found=f"{key!r}: {image}", expected=EXPECTED)
            numbered = image.child("regions")  # VIA 1 numbers the regions
            regions = image.children("regions") or [numbered.child(number) for number in numbered.names]
            found.append((image.text("filename"), regions))
        return found

    def _read_csv(self, path: PurePosixPath) -> list[tuple[str, list[JsonObject]]]:
        table = read_csv(self.root / path, what=WHAT)
        columns = [table.column(*names) for names in _CSV_COLUMNS]
        name, shape, attributes = (-1 if column is None else column for column in columns)
        if min(name, shape, attributes) < 0:
            expected = "the columns filename, region_shape_attributes and region_attributes"
            raise unreadable(self.root / path, what=WHAT, found=", ".join(table.heading), expected=expected)
        images: dict[str, list[JsonObject]] = {}
        for row in table.rows.values():
            regions = images.setdefault(row[name], [])
            said = {"shape_attributes": _parsed(row[shape]), "region_attributes": _parsed(row[attributes])}
            if said["shape_attributes"] != {}:
                regions.append(JsonObject(said))
        return list(images.items())


_CSV_COLUMNS = (("filename", "#filename"), ("region_shape_attributes",), ("region_attributes",))


def _rank(attribute: str) -> int:
    """Return how likely an attribute names the classes; 0 is most likely."""
    word = attribute.strip().casefold().replace(" ", "_")
    return _CLASS_WORDS.index(word) if word in _CLASS_WORDS else len(_CLASS_WORDS)


def _parsed(cell: str) -> object:
    try:
        return parse_json(cell.encode())
    except ValueError:
        return None


def _shape(row: JsonObject, report: Report) -> Shape | None:
    kind = row.text("name")
    if kind in ("polygon", "polyline"):
        across, down = (numbers_in(row.value(f"all_points_{axis}")) for axis in "xy")
        if not across or not down or len(across) != len(down):
            report("annotation-malformed", f"a {kind} without all_points_x and all_points_y of one length")
            return None
        points = [number for point in zip(across, down, strict=True) for number in point]
        if kind == "polyline":
            report("drawn-by-width", "a polyline")
        return Shape("line" if kind == "polyline" else "polygon", points)
    keys = _KEYS.get(kind)
    if keys is None:
        report("shape-unknown", f"a region of kind {as_shown(row.value('name'))}")
        return None
    numbers = numbers_in([row.value(key) for key in keys])
    if numbers is None:
        report("annotation-malformed", f"a {kind} without {', '.join(keys)}")
        return None
    x, y, *sides = numbers
    if kind == "point":
        report("drawn-by-width", "a point")
        return Shape("point", [x, y])
    if kind == "rect":
        return Shape("box", [x, y, x + sides[0], y + sides[1]])
    ellipse = Shape("ellipse", [x, y, sides[0], sides[-1]])
    turn = degrees(row.number("theta") or 0)
    return Shape("polygon", rotate(corners(ellipse), turn, (x, y))) if turn % 360 else ellipse


_KEYS = {
    "rect": ("x", "y", "width", "height"),
    "circle": ("cx", "cy", "r"),
    "ellipse": ("cx", "cy", "rx", "ry"),
    "point": ("cx", "cy"),
}
