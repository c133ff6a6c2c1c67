"""Coordinates as fractions of the sides, or as degrees, where a format has pixels: objects below a pixel."""

import json

import numpy as np
import pytest

from limner.api.check import check
from limner.core.finding import Severity

SIZE = {"imageHeight": 48, "imageWidth": 64}
CORNERS = [[0.1, 0.2], [0.5, 0.2], [0.5, 0.6], [0.1, 0.6]]
DEGREES = [[8.501, 0.301], [8.502, 0.301], [8.502, 0.302], [8.501, 0.301]]


def labelme(name: str, *outlines: list) -> str:
    shapes = [{"label": "roof", "points": points, "shape_type": "polygon"} for points in outlines]
    return json.dumps({"shapes": shapes, "imagePath": name} | SIZE)


def coco_of_boxes(number: int, box: list[float]) -> str:
    images = [{"id": i, "file_name": f"{i}.png", "height": 48, "width": 64} for i in range(number)]
    rows = [{"id": i, "image_id": i, "category_id": 1, "bbox": box} for i in range(number)]
    return json.dumps({"images": images, "annotations": rows, "categories": [{"id": 1, "name": "roof"}]})


def geojson(points: list) -> str:
    shape = {"type": "Polygon", "coordinates": [points]}
    feature = {"type": "Feature", "properties": {}, "geometry": shape}
    return json.dumps({"type": "FeatureCollection", "features": [feature]})


LABELS = {
    "labelme": {f"{i}.json": labelme(f"{i}.png", CORNERS) for i in range(3)},
    "COCO's boxes": {"all.json": coco_of_boxes(3, [0.1, 0.2, 0.4, 0.4])},
    "GeoJSON of a map": {f"{i}.geojson": geojson(DEGREES) for i in range(3)},
}


def pictures() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    return {f"{i}.png": draw.integers(0, 256, (48, 64, 3), np.uint8) for i in range(3)}


@pytest.mark.parametrize("kind", LABELS)
def test_they_are_an_error(tree, kind) -> None:
    found = {f.code: f for f in check(tree(pictures() | LABELS[kind])).findings}["object-below-a-pixel"]
    assert (found.severity, found.cases) == (Severity.ERROR, 3)
    assert "fractions of the sides, or degrees" in found.fix


def test_a_single_speck_is_a_warning(tree) -> None:
    large = [[4, 4], [20, 4], [20, 30], [4, 30]]
    labels = {f"{i}.json": labelme(f"{i}.png", large, large[1:]) for i in range(3)}
    labels["0.json"] = labelme("0.png", large, CORNERS)
    found = {f.code: f for f in check(tree(pictures() | labels)).findings}["object-below-a-pixel"]
    assert (found.severity, found.cases) == (Severity.WARNING, 1)
    assert "0.4 of a pixel" in found.found
