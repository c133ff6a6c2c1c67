"""Supervisely: whole numbers name pixels, and the last one belongs to the object."""

import base64
import io
import json
import zlib

import numpy as np
import pytest
from PIL import Image

from limner.formats import open_source

PICTURE = np.zeros((20, 30, 3), np.uint8)


def packed(mask: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(mask).save(file, "PNG")
    return base64.b64encode(zlib.compress(file.getvalue())).decode()


def opened(make_tree, *objects: dict):
    rows = [{"id": 7, "classTitle": "cell", "tags": []} | one for one in objects]
    whole = {"description": "", "tags": [], "size": {"height": 20, "width": 30}, "objects": rows}
    meta = {"classes": [{"title": "other", "shape": "bitmap"}, {"title": "cell", "shape": "bitmap"}]}
    files = {"ds/img/a.jpg": PICTURE, "ds/ann/a.jpg.json": json.dumps(whole), "meta.json": json.dumps(meta)}
    source = open_source(make_tree(files))
    assert source.name == "supervisely"
    return source, source.read_values(source.records[0])


@pytest.mark.parametrize(
    "pixels", [np.full((3, 4), 255, np.uint8), np.full((3, 4, 4), 255, np.uint8)], ids=["grey", "alpha"]
)
def test_bitmap_lies_at_its_origin(make_tree, pixels) -> None:
    _, values = opened(
        make_tree, {"geometryType": "bitmap", "bitmap": {"origin": [5, 2], "data": packed(pixels)}}
    )
    assert values[2:5, 5:9].all() and values.sum() == 12


def test_rectangle_holds_its_last_row_and_column(make_tree) -> None:
    shape = {"geometryType": "rectangle", "points": {"exterior": [[5, 2], [8, 4]], "interior": []}}
    bitmap = {
        "geometryType": "bitmap",
        "bitmap": {"origin": [20, 10], "data": packed(np.ones((1, 1), np.uint8))},
    }
    _, values = opened(make_tree, shape, bitmap)
    assert values[2:5, 5:9].all() and values.sum() == 12 + 1


def test_polygon_with_a_hole(make_tree) -> None:
    ring, hole = [[5, 2], [15, 2], [15, 12], [5, 12]], [[8, 5], [12, 5], [12, 9], [8, 9]]
    _, values = opened(
        make_tree, {"geometryType": "polygon", "points": {"exterior": ring, "interior": [hole]}}
    )
    assert values[3, 6] == 1 and values[7, 10] == 0


def test_what_cannot_be_read_is_reported(make_tree) -> None:
    source, values = opened(
        make_tree,
        {"geometryType": "bitmap", "bitmap": {"origin": [5, 2], "data": "eJw="}},
        {"geometryType": "graph", "nodes": {}},
        {"geometryType": "polygon", "points": {"exterior": [[1, "x"]], "interior": []}},
    )
    assert {(f.code, f.cases) for f in source.findings} == {("annotation-malformed", 2), ("shape-unknown", 1)}
    assert not values.any()


def test_classes_have_the_order_of_the_project(make_tree) -> None:
    one = {"geometryType": "rectangle", "points": {"exterior": [[5, 2], [8, 4]], "interior": []}}
    source, _ = opened(make_tree, one, one | {"classTitle": "other"})
    assert source.declared_labels().names == ("background", "other", "cell")
