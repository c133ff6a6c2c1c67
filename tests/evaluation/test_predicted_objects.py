import json
from pathlib import Path

import numpy as np
import pytest

from limner.core.errors import DataError
from limner.core.labels import LabelClass, LabelTable
from limner.core.sample import Record, Sample
from limner.evaluation.predicted_objects import PredictedObjects, results_file
from limner.formats.coco.coco_panoptic import write_panoptic_png
from limner.formats.coco.coco_results import read_results

LABELS = LabelTable(
    (
        LabelClass("sky", (7,), (0, 0, 200), is_thing=False),
        LabelClass("car", (3,), (200, 0, 0), is_thing=True),
    )
)
SQUARE = [2, 1, 6, 1, 6, 5, 2, 5]  # x from 2 to 6, y from 1 to 5
MASKED = {"image_id": 42, "category_id": 3, "segmentation": [SQUARE], "score": 1}


def record(name="street/a", entry="labels.json#42"):
    return Record(name, Path(f"/data/{name}.jpg"), (Path("labels.json"),), entry=entry)


def sample(name="street/a"):
    return Sample(name, np.zeros((8, 10, 3), np.uint8))


def written(tmp_path, whole):
    path = tmp_path / "theirs.json"
    path.write_text(json.dumps(whole), "utf-8")
    return path


def test_a_results_list_goes_by_the_ids_of_the_data(tmp_path):
    pytest.importorskip("pycocotools")
    runs = {"size": [8, 10], "counts": [0, 8, 72]}  # the first column
    rows = [
        {"image_id": 42, "category_id": 3, "segmentation": [SQUARE], "score": 0.4},
        {"image_id": 42, "category_id": 7, "segmentation": runs, "score": 0.9},
        {"image_id": 43, "category_id": 7, "segmentation": runs, "score": 0.9},
    ]
    found = PredictedObjects(read_results(written(tmp_path, rows)), LABELS, [record()]).predict(sample())
    assert found.labels.tolist() == [0, 1]  # the surest first
    assert found.scores.tolist() == pytest.approx([0.9, 0.4])
    assert found.masks[0].sum() == 8 and found.masks[0][:, 0].all()
    assert found.masks[1][1:5, 2:6].all() and found.masks[1].sum() == 16


@pytest.mark.parametrize("number", ["street/a", "a", "a.jpg", "42"])
def test_an_image_id_may_be_a_name(tmp_path, number):
    pytest.importorskip("pycocotools")
    rows = [{"image_id": number, "category_id": 3, "segmentation": [SQUARE], "score": 1}]
    predicted = PredictedObjects(read_results(written(tmp_path, rows)), LABELS, [record()])
    assert len(predicted.predict(sample()).masks) == 1


def test_images_and_classes_go_by_name_where_the_file_lists_them(tmp_path):
    pytest.importorskip("pycocotools")
    whole = {
        "images": [{"id": 1, "file_name": "elsewhere/street/a.jpg"}],
        "categories": [{"id": 1, "name": "Car"}, {"id": 2, "name": "boat"}],
        "annotations": [{"image_id": 1, "category_id": 1, "segmentation": [SQUARE], "score": 0.5}],
    }
    records = [record(), record("street/b", "labels.json#1")]
    predicted = PredictedObjects(read_results(written(tmp_path, whole)), LABELS, records)
    assert predicted.predict(sample()).labels.tolist() == [1]
    assert len(predicted.predict(sample("street/b")).masks) == 0  # nothing was found there
    whole["annotations"][0]["category_id"] = 2
    predicted = PredictedObjects(read_results(written(tmp_path, whole)), LABELS, records)
    with pytest.raises(DataError, match="category_id 2"):
        predicted.predict(sample())


def test_panoptic_segments_come_from_json_and_png(tmp_path):
    ids = np.zeros((8, 10), np.int32)
    ids[:4], ids[5:, 5:] = 300, 9
    (tmp_path / "theirs").mkdir()
    write_panoptic_png(tmp_path / "theirs" / "a.png", ids)
    infos = [{"id": 9, "category_id": 3}, {"id": 300, "category_id": 7}]
    row = {"image_id": 42, "file_name": "a.png", "segments_info": infos}
    path = written(tmp_path, {"annotations": [row]})
    predicted = PredictedObjects(read_results(path), LABELS, [record(), record("b", "labels.json#5")])
    found = predicted.predict(sample())
    assert found.labels.tolist() == [1, 0] and found.is_thing.tolist() == [True, False]
    assert (found.segment_ids == np.where(ids == 9, 1, np.where(ids == 300, 2, 0))).all()
    with pytest.raises(DataError, match="no predicted segments.*\n.*no annotation of b"):
        predicted.predict(sample("b"))
    with pytest.raises(DataError, match="differ in size"):
        predicted.predict(Sample("street/a", np.zeros((8, 9, 3), np.uint8)))
    row["segments_info"] = infos[:1]
    path = written(tmp_path, {"annotations": [row]})
    with pytest.raises(DataError, match="segment 300"):
        PredictedObjects(read_results(path), LABELS, [record()]).predict(sample())
    (tmp_path / "theirs" / "a.png").unlink()
    with pytest.raises(DataError, match=r"no a\.png"):
        PredictedObjects(read_results(path), LABELS, [record()]).predict(sample())


@pytest.mark.parametrize(
    ("whole", "said"),
    [
        ({"scores": 1}, "no list of annotations"),
        (
            [{"image_id": 42, "category_id": 3, "segmentation": [SQUARE]}],
            "without image_id, category_id or sc",
        ),
        ([MASKED, {"image_id": 42, "category_id": 3, "bbox": [0, 0, 2, 2], "score": 1}], "a box only"),
        ([{"image_id": 42, "category_id": 3, "bbox": [0, 0, 2], "score": 1}], "left, top, width and height"),
        ([{"image_id": 7, "category_id": 3, "segmentation": [SQUARE], "score": 1}], "None of the images"),
    ],
)
def test_other_files_are_refused(tmp_path, whole, said):
    with pytest.raises(DataError, match=said):
        PredictedObjects(read_results(written(tmp_path, whole)), LABELS, [record()])


def test_masks_of_another_size_are_refused(tmp_path):
    rows = [
        {"image_id": 42, "category_id": 3, "segmentation": {"size": [9, 9], "counts": [0, 81]}, "score": 1}
    ]
    predicted = PredictedObjects(read_results(written(tmp_path, rows)), LABELS, [record()])
    with pytest.raises(DataError, match="height x width = 8 x 10"):
        predicted.predict(sample())


def test_two_images_that_cannot_be_told_apart_are_refused(tmp_path):
    images = [{"id": 1, "file_name": "one/a.jpg"}, {"id": 2, "file_name": "two/a.jpg"}]
    whole = {"images": images, "annotations": []}
    with pytest.raises(DataError, match="one/a.jpg and two/a.jpg"):
        PredictedObjects(read_results(written(tmp_path, whole)), LABELS, [record()])


def test_a_folder_of_limners_own_stands_for_its_json(tmp_path):
    assert results_file(tmp_path) is None
    (tmp_path / "panoptic.json").write_text("{}", "utf-8")
    assert results_file(tmp_path) == tmp_path / "panoptic.json"
    assert results_file(tmp_path / "any.json") == tmp_path / "any.json"
