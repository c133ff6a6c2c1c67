"""Annotations whose values have a wrong type or size are errors that name them; the rest is read."""

import json

import numpy as np
import pytest

import limner
from limner.core.finding import Severity


def noise(seed):
    return np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)


def label_studio(**wrong):
    def region(**more):
        box = {"x": 10, "y": 10, "width": 30, "height": 30, "rectanglelabels": ["cell"], **more}
        size = {"original_width": 32, "original_height": 24}
        return {"id": "x", "type": "rectanglelabels", "value": box, **size}

    def task(number, *regions):
        return {
            "id": number,
            "data": {"image": f"a{number}.png"},
            "annotations": [{"id": number, "result": [*regions]}],
        }

    document = [task(0, region()), task(1, region(), region(**wrong))]
    return {"a0.png": noise(0), "a1.png": noise(1), "export.json": json.dumps(document)}


def cvat(shape):
    right = '<box label="cell" xtl="3" ytl="3" xbr="12" ybr="12" z_order="0"/>'
    images = [
        f'<image id="{i}" name="a{i}.png" width="32" height="24">{right}{shape if i else ""}</image>'
        for i in range(2)
    ]
    return {
        "a0.png": noise(0),
        "a1.png": noise(1),
        "annotations.xml": f"<annotations><version>1.1</version>{''.join(images)}</annotations>",
    }


def coco(**wrong):
    box = {"bbox": [3, 3, 9, 9], "area": 81, "iscrowd": 0, "category_id": 1}
    right = {**box, "segmentation": [[3, 3, 12, 3, 12, 12, 3, 12]]}
    document = {
        "images": [{"id": i, "file_name": f"a{i}.png", "width": 32, "height": 24} for i in (0, 1)],
        "categories": [{"id": 1, "name": "cell"}],
        "annotations": [
            {**right, "id": 1, "image_id": 0},
            {**right, "id": 2, "image_id": 1},
            {**right, "id": 3, "image_id": 1, **wrong},
        ],
    }
    return {"images/a0.png": noise(0), "images/a1.png": noise(1), "instances.json": json.dumps(document)}


def mmocr(polygon):
    def row(number, *polygons):
        return {
            "img_path": f"a{number}.png",
            "width": 32,
            "height": 24,
            "instances": [{"polygon": one, "ignore": False, "text": "x"} for one in polygons],
        }

    right = [3, 3, 12, 3, 12, 12, 3, 12]
    document = {"metainfo": {}, "data_list": [row(0, right), row(1, right, polygon)]}
    return {"a0.png": noise(0), "a1.png": noise(1), "textdet_train.json": json.dumps(document)}


WRONG = {
    "Label Studio, a number as text": label_studio(x="10"),
    "Label Studio, the rotation as text": label_studio(rotation="ninety"),
    "Label Studio, the rotation as a list": label_studio(rotation=[90]),
    "CVAT, a huge ellipse": cvat('<ellipse label="cell" cx="9" cy="9" rx="1e20" ry="5"/>'),
    "CVAT, the rotation as a word": cvat('<box label="cell" xtl="3" ytl="3" xbr="9" ybr="9" rotation="up"/>'),
    "COCO, a box of text": coco(bbox=[3, "3", 9, 9]),
    "COCO, points that are no list": coco(segmentation=[7]),
    "MMOCR, a number of 300 digits": mmocr(10**300),
}


@pytest.mark.parametrize("kind", WRONG)
def test_it_is_an_error_that_names_the_annotation_and_the_rest_is_read(tree, kind):
    checked = limner.check(tree(WRONG[kind]))
    (finding,) = (one for one in checked.findings if one.code == "annotation-malformed")
    assert finding.severity is Severity.ERROR
    assert any(name in finding.where for name in ("a1", "annotation 3", "textdet_train.json#1"))
    assert [image.is_labelled for image in checked.facts.images] == [True, True]
    assert all(len(image.value_counts) == 2 for image in checked.facts.images)  # background and cell


def test_cvats_numbers_are_shown(tree):
    checked = limner.check(tree(WRONG["CVAT, a huge ellipse"]))
    (finding,) = (one for one in checked.findings if one.code == "annotation-malformed")
    assert '<ellipse cx="9" cy="9" rx="1e20" ry="5">' in finding.found and "too large" in finding.found


def test_a_converted_copy_has_no_error(tree, tmp_path):
    root = tree(WRONG["CVAT, a huge ellipse"])
    limner.convert(root, tmp_path / "copy", to="coco-instances")
    assert not limner.check(tmp_path / "copy").errors


def test_a_region_with_two_labels_is_counted(tree):
    """Label Studio's choice="multiple"."""
    checked = limner.check(tree(label_studio(rectanglelabels=["cell", "leaf"])))
    (finding,) = (one for one in checked.findings if one.code == "several-labels")
    assert finding.cases == 1 and "cell, leaf" in finding.found and "a1.png" in finding.where
    assert checked.labels.names == ("background", "cell")
