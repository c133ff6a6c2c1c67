"""Datumaro, QuPath, DOTA and Create ML: what lies where, by hand."""

import json

import numpy as np
import pytest

from limner.formats import open_source

PICTURE = np.zeros((20, 30, 3), np.uint8)
SQUARE = [[5, 2], [15, 2], [15, 12], [5, 12], [5, 2]]
HOLE = [[8, 5], [12, 5], [12, 9], [8, 9], [8, 5]]


def values_of(root, name: str) -> np.ndarray:
    source = open_source(root)
    assert source.name == name
    return source.read_values(source.records[0])


def datumaro(*annotations: dict) -> str:
    labels = {"label": {"labels": [{"name": "wall"}, {"name": "door"}]}}
    rows = [{"id": n, "label_id": 1, "group": 0} | one for n, one in enumerate(annotations)]
    item = {"id": "sub/a", "annotations": rows, "image": {"size": [20, 30]}}
    return json.dumps({"info": {}, "categories": labels, "items": [item]})


@pytest.mark.parametrize(
    ("one", "pixels"),
    [
        ({"type": "polygon", "points": [5, 2, 15, 2, 15, 12, 5, 12]}, 100),
        ({"type": "bbox", "bbox": [5, 2, 10, 10]}, 100),
        # 2 of the first column of 20 pixels
        ({"type": "mask", "rle": {"counts": [3, 2, 595], "size": [20, 30]}}, 2),
        ({"type": "ellipse", "points": [5, 2, 15, 12]}, np.pi * 25),
    ],
)
def test_datumaro(make_tree, one, pixels) -> None:
    small = {"type": "polygon", "points": [20, 15, 24, 15, 24, 19, 20, 19], "label_id": 0}
    root = make_tree({"images/val/sub/a.png": PICTURE, "annotations/val.json": datumaro(one, small)})
    values = values_of(root, "datumaro")
    assert (values == 2).sum() == pytest.approx(pixels, rel=0.05) and (values == 1).sum() == 16
    assert open_source(root).records[0].split == "val"


def test_shapes_of_a_group_are_one_object_in_datumaro(make_tree) -> None:
    parts = [{"type": "polygon", "points": [x, 2, x + 4, 2, x + 4, 6], "group": 3} for x in (2, 12)]
    source = open_source(make_tree({"sub/a.png": PICTURE, "all.json": datumaro(*parts)}))
    assert len(source.read_objects(source.records[0])) == 1


@pytest.mark.parametrize("wrap", [lambda f: {"type": "FeatureCollection", "features": [f]}, lambda f: [f]])
def test_qupath_cuts_holes_and_keeps_what_lies_in_them(make_tree, wrap) -> None:
    island = [[9, 6], [11, 6], [11, 8], [9, 8], [9, 6]]
    geometry = {"type": "MultiPolygon", "coordinates": [[island], [SQUARE, HOLE]]}
    feature = {"type": "Feature", "geometry": geometry, "properties": {"classification": {"name": "Tumor"}}}
    root = make_tree({"a.png": PICTURE, "a.geojson": json.dumps(wrap(feature))})
    values = values_of(root, "qupath")
    assert values.sum() == 100 - 16 + 4 and values[7, 10] == 1 and values[5, 8] == 0
    assert open_source(root).declared_labels().names == ("background", "Tumor")


def test_dota_reads_corners_class_and_difficulty(make_tree) -> None:
    text = "imagesource:GoogleEarth\ngsd:0.14\n5 2 15 2 15 12 5 12 large-vehicle 1\n1 1 3 1 3 3 1 3 ship 0\n"
    root = make_tree({"train/images/a.png": PICTURE, "train/labelTxt/a.txt": text})
    values = values_of(root, "dota")
    assert [(values == value).sum() for value in (1, 2)] == [100, 4]
    source = open_source(root)
    assert [one.is_difficult for one in source.read_objects(source.records[0])] == [True, False]
    assert (source.records[0].split, source.declared_labels().names[1]) == ("train", "large-vehicle")


def test_create_ml_states_the_centre(make_tree) -> None:
    place = {"x": 10, "y": 7, "width": 10, "height": 8}
    rows = [{"imagefilename": "a.png", "annotations": [{"label": "cup", "coordinates": place}]}]
    source = open_source(make_tree({"a.png": PICTURE, "all.json": json.dumps(rows)}))
    assert (source.name, source.tasks) == ("create-ml", ("detection",))
    np.testing.assert_array_equal(source.read_boxes(source.records[0]).xyxy, [[5, 3, 15, 11]])


def test_key_points_of_coco_with_masks_are_objects(make_tree) -> None:
    person = {
        **{"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "bbox": [5, 2, 10, 10]},
        **{"segmentation": [[5, 2, 15, 2, 15, 12, 5, 12]], "keypoints": [6, 3, 2], "num_keypoints": 1},
    }
    whole = {
        "images": [{"id": 1, "file_name": "a.png", "height": 20, "width": 30}],
        "categories": [{"id": 1, "name": "person", "keypoints": ["nose"], "skeleton": []}],
        "annotations": [person],
    }
    root = make_tree({"a.png": PICTURE, "person_keypoints_val2017.json": json.dumps(whole)})
    assert values_of(root, "coco-instances").sum() == 100
