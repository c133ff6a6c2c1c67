"""Predictions as JSON: numbers by hand, masks decoded by pycocotools."""

import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from limner.core.labels import LabelClass, LabelTable
from limner.core.prediction import (
    BoxPrediction,
    ClassPrediction,
    PanopticPrediction,
    SegmentPrediction,
    SemanticPrediction,
    TagPrediction,
    WordPrediction,
)
from limner.tasks import TASKS

LABELS = LabelTable(
    (
        LabelClass("sky", (5,), (0, 0, 255), is_thing=False),
        LabelClass("cat", (7,), (255, 0, 0), is_thing=True),
        LabelClass("dog", (9,), (0, 255, 0), is_thing=True),
    )
)

RING = np.zeros((6, 8), bool)
RING[1:5, 2:7] = True
RING[2:4, 3:6] = False


def as_json(task, prediction, **options):
    return json.loads(json.dumps(TASKS[task].to_json(prediction, LABELS, **options), allow_nan=False))


def decoded(runs):
    return coco_mask.decode({"size": runs["size"], "counts": runs["counts"].encode()}).astype(bool)


def test_every_task_has_predictions_as_json():
    assert all("to_json" in type(task).__dict__ for task in TASKS.values())


def test_label_maps():
    labels = np.zeros((6, 8), np.uint8)
    labels[RING] = 2
    sky, cat, dog = as_json("semantic", SemanticPrediction("a", labels))["classes"]
    assert (sky["name"], sky["pixels"], dog["pixels"]) == ("sky", 48 - 14, 14)
    assert cat == {"index": 1, "name": "cat", "pixels": 0}
    np.testing.assert_array_equal(decoded(dog["mask"]), RING)


def test_objects_with_and_without_outlines():
    prediction = SegmentPrediction("a", RING[None], np.array([1]), np.array([0.75], np.float32))
    (cat,) = as_json("instance", prediction)["objects"]
    assert (cat["name"], cat["score"], cat["pixels"]) == ("cat", 0.75, 14)
    assert cat["box_xyxy"] == [2, 1, 7, 5] and "polygons" not in cat
    np.testing.assert_array_equal(decoded(cat["mask"]), RING)
    (cat,) = as_json("instance", prediction, polygons=True)["objects"]
    outer, hole = cat["polygons"]
    assert not outer["is_hole"] and hole["is_hole"]
    assert sorted(outer["points"]) == [[2, 1], [2, 5], [7, 1], [7, 5]]
    assert sorted(hole["points"]) == [[3, 2], [3, 4], [6, 2], [6, 4]]


def test_segments_without_a_pixel_are_left_out():
    ids = np.ones((6, 8), np.int32)
    ids[RING] = 3
    prediction = PanopticPrediction(
        "a", ids, np.array([0, 2, 1]), np.array([1, 0.9, 0.8], np.float32), np.array([False, True, True])
    )
    found = as_json("panoptic", prediction)
    sky, cat = found["objects"]
    assert (sky["name"], sky["is_thing"], cat["name"], cat["is_thing"]) == ("sky", False, "cat", True)
    assert [row["pixels"] for row in found["classes"]] == [34, 14, 0]
    np.testing.assert_array_equal(decoded(cat["mask"]), RING)


def test_boxes_words_and_classes():
    boxes = BoxPrediction(
        "a", np.array([[1, 2, 3.456, 4]], np.float32), np.array([2]), np.array([0.5], np.float32), (6, 8)
    )
    assert as_json("detection", boxes) == {
        "objects": [{"index": 2, "name": "dog", "score": 0.5, "box_xyxy": [1, 2, 3.46, 4]}]
    }
    words = WordPrediction("a", (np.array([[1.0, 2], [5, 1], [6, 4]]),), np.array([0.25], np.float32))
    assert as_json("text-detection", words) == {
        "words": [{"polygon": [[1, 2], [5, 1], [6, 4]], "box_xyxy": [1, 1, 6, 4], "score": 0.25}]
    }
    chances = np.array([0.125, 0.625, 0.25], np.float32)
    found = as_json("classification", ClassPrediction("a", chances))["probabilities"]
    assert [(row["name"], row["probability"], row["is_predicted"]) for row in found] == [
        ("cat", 0.625, True),
        ("dog", 0.25, False),
        ("sky", 0.125, False),
    ]
    tags = as_json("multilabel", TagPrediction("a", np.array([0.5, 0.75, 0.25], np.float32)))["probabilities"]
    assert [row["name"] for row in tags if row["is_predicted"]] == ["cat", "sky"]


@pytest.mark.parametrize("task", ["instance", "detection"])
def test_nothing_found_is_an_empty_list(task):
    none = {
        "instance": SegmentPrediction(
            "a", np.zeros((0, 6, 8), bool), np.zeros(0, int), np.zeros(0, np.float32)
        ),
        "detection": BoxPrediction(
            "a", np.zeros((0, 4), np.float32), np.zeros(0, int), np.zeros(0, np.float32), (6, 8)
        ),
    }
    assert as_json(task, none[task]) == {"objects": []}
