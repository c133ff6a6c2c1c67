import json

import numpy as np
import pytest

from limner.core.labels import LabelClass, LabelTable
from limner.core.prediction import PanopticPrediction, SegmentPrediction
from limner.formats import open_source
from limner.formats.coco.coco_writing import predicted_objects, predicted_segments, write_coco

pytest.importorskip("pycocotools")

LABELS = LabelTable(
    (
        LabelClass("sky", (9,), (0, 0, 200), is_thing=False),
        LabelClass("car", (4,), (200, 0, 0), is_thing=True),
    )
)


def test_objects_are_read_back_by_the_format_that_reads_coco(make_tree) -> None:
    root = make_tree({"a.png": np.zeros((6, 9, 3), np.uint8)})
    masks = np.zeros((2, 6, 9), bool)
    masks[0, 1:3, 2:5] = masks[1, 2:6, 4:9] = True
    found = SegmentPrediction("a", masks, np.array([0, 0]), np.array([0.9, 0.25], np.float32))
    things = LABELS.things()
    write_coco(root / "instances.json", [predicted_objects(found, things, file_name="a.png")], things)
    row = json.loads((root / "instances.json").read_text())["annotations"][0]
    assert (row["bbox"], row["area"], row["score"]) == ([2, 1, 3, 2], 6, 0.9)
    source = open_source(root)
    segments = source.read_segments(source.records[0])
    np.testing.assert_array_equal(segments.masks()[:2], masks)
    assert segments.labels.tolist() == [4, 4, 0]


def test_segments_are_read_back_by_the_format_that_reads_panoptic(make_tree) -> None:
    root = make_tree({"a.png": np.zeros((6, 9, 3), np.uint8)})
    ids = np.zeros((6, 9), np.int32)
    ids[:2], ids[4:, :3] = 1, 2
    found = PanopticPrediction("a", ids, np.array([0, 1]), np.ones(2, np.float32), np.array([False, True]))
    (root / "panoptic").mkdir()
    entry = predicted_segments(found, LABELS, file_name="a.png", png=root / "panoptic" / "a.png")
    write_coco(root / "panoptic.json", [entry], LABELS)
    source = open_source(root)
    values = source.read_values(source.records[0])
    np.testing.assert_array_equal(values, np.array([0, 9, 4])[ids])
