"""QuPath's GeoJSON, one file for each image: polygons with holes in pixels of the full resolution."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import ClassVar

from limner.formats.drawn import Drawn, Shape
from limner.formats.file_tree import FileTree
from limner.formats.problems import Problems, Report
from limner.formats.shapes.annotation_files import AnnotationFiles, LabelFile
from limner.formats.shapes.polygons import area
from limner.formats.shapes.valid_shapes import valid_shapes
from limner.storage.json_files import JsonObject, ends, read_json, unreadable
from limner.storage.usable_numbers import points_in

WHAT = "The GeoJSON of QuPath"
EXPECTED = "a FeatureCollection, or a list of features, with `geometry` and `properties`"
MAX_LOOKED_AT = 20
NO_CLASS = "object"
"""Class of all objects of QuPath that have none."""


class QuPath(AnnotationFiles):
    """Annotations and detections exported from QuPath."""

    name = "qupath"
    title = "QuPath's GeoJSON: a file for each image, of the image's name"
    suffix: ClassVar[str] = ".geojson"
    files_called: ClassVar[str] = "files of GeoJSON"
    boxes_are_masks: ClassVar[bool] = True

    @classmethod
    def label_files(cls, root: Path, tree: FileTree) -> Sequence[PurePosixPath]:
        """Return the GeoJSON files, also those called .json, if one of the first has features."""
        stems = {path.stem for path in tree.images}
        named = [path for path in tree.others if path.suffix.casefold() == cls.suffix]
        files = named or [p for p in tree.others if p.suffix.casefold() == ".json" and p.stem in stems]
        return files if any(_is_geojson(ends(root / path)) for path in files[:MAX_LOOKED_AT]) else ()

    def read_file(self, path: PurePosixPath, problems: Problems) -> LabelFile:
        """Parse one file.

        Raises:
            DataError: It is no JSON, or holds no features.
        """
        whole = JsonObject({"all": read_json(self.root / path, what=WHAT, expected=EXPECTED)})
        one = whole.child("all")
        features = whole.children("all") or one.children("features") or ([one] if "geometry" in one else [])
        if not (features or whole.has_list("all") or one.has_list("features")):
            raise unreadable(self.root / path, what=WHAT, found="no features", expected=EXPECTED)
        drawn = []
        for position, feature in enumerate(features):
            name = f"feature {position}"
            report = problems.at(f"{path}, {name}", file=str(path))
            said = feature.child("properties").child("classification")
            label = said.text("name") or ": ".join(said.texts("names")) or NO_CLASS
            if shapes := valid_shapes(_shapes(feature.child("geometry"), report), None, report):
                drawn.append(Drawn(self.number_of(label), shapes, name=name))
        return LabelFile(drawn, path.stem)  # of `a.tif.geojson` it is the whole name


def _is_geojson(both: bytes) -> bool:
    return b'"geometry"' in both and b'"coordinates"' in both or b'"FeatureCollection"' in both


def _shapes(geometry: JsonObject, report: Report) -> list[Shape]:
    """Return the outlines with their holes, the outlines of all parts first."""
    kind, listed = geometry.text("type"), geometry.items("coordinates")
    if kind in ("Point", "LineString"):
        points = points_in([listed] if kind == "Point" else listed)
        report("drawn-by-width", f"a {kind}")
        if not points:
            report("annotation-malformed", f"a {kind} without [x, y]")
            return []
        return [Shape("point" if kind == "Point" else "line", points)]
    if kind not in ("Polygon", "MultiPolygon"):
        report("shape-unknown", f"a geometry of type {kind!r}")
        return []
    parts = [listed] if kind == "Polygon" else listed
    rings = [[points_in(ring) for ring in part] if isinstance(part, list) else [None] for part in parts]
    if not rings or not all(part and all(part) for part in rings):
        report("annotation-malformed", f"a {kind} whose rings are not [[x, y], ...]")
        return []
    # A part may lie in the hole of a larger one, so the larger comes first, with its holes.
    ordered = sorted(rings, key=lambda part: -area(part[0] or ()))
    return [
        Shape("polygon" if place == 0 else "hole", ring or ())
        for part in ordered
        for place, ring in enumerate(part)
    ]
