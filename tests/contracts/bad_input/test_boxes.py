"""Boxes that cannot be right are named by `check`, and what is trained has none of them."""

import json

import cv2
import numpy as np
import pytest

import limner
from limner.core.boxes import Boxes
from limner.core.errors import DataError
from limner.formats import open_source
from limner.loading.target_readers import READERS

# Box and class of one more annotation of images 1, 2, ..., each 80 x 60 pixels, and the codes of `check`.
WRONG = [
    ([10, 10, 0, 5], 1, {"box-zero-size"}),
    ([100, 100, 20, 20], 1, {"box-outside-image"}),
    ([70, 50, 400, 300], 1, {"box-outside-image"}),
    ([20, 20, 10, 10], 2, {"class-in-few-images", "class-absent-from-split"}),
    (None, 1, {"annotation-without-mask"}),
]


@pytest.fixture
def boxes(tmp_path):
    def write(wrong):
        (tmp_path / "images").mkdir()
        images, rows = [], []
        for number in range(1, 13):
            noise = np.random.default_rng(number).integers(0, 255, (60, 80, 3), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / "images" / f"{number:02}.png"), noise)
            images.append({"id": number, "file_name": f"{number:02}.png", "height": 60, "width": 80})
            given = [([5, 5, 20, 20], 1), *((box, label) for box, label, _ in wrong[number - 1 : number])]
            rows += [
                {"id": len(rows) + i, "image_id": number, "category_id": label, "bbox": box, "iscrowd": 0}
                for i, (box, label) in enumerate(given, start=1)
            ]
        categories = [{"id": 1, "name": "cell"}, {"id": 2, "name": "worm"}]
        content = {"images": images, "annotations": rows, "categories": categories}
        (tmp_path / "annotations.json").write_text(json.dumps(content))
        return tmp_path

    return write


def test_each_is_named_and_what_is_read_is_inside_its_image(boxes):
    root = boxes(WRONG)
    checked = limner.check(root)
    found = {finding.code for finding in checked.findings}
    assert set().union(*(codes for *_, codes in WRONG)) <= found
    assert not checked.errors
    source = open_source(root)
    for record in source.records:
        read = READERS[Boxes](source, record, checked.labels.things())
        assert (read.xyxy >= 0).all() and (read.xyxy <= [80, 60, 80, 60]).all()
        assert (read.areas > 0).all()
        assert read.xyxy[0].tolist() == [5, 5, 25, 25]


def test_a_box_that_is_no_number_is_refused_by_name(boxes):
    root = boxes([([float("nan"), 1, 5, 5], 1, set())])
    with pytest.raises(DataError, match=r"annotations\.json, annotation 2 \(01\.png\)"):
        limner.train(root, task="detection", run=root.parent / "run", device="cpu")
