import json

import pytest

from limner.core.run_folder import RunFolder
from limner.reporting.gather import gather
from limner.reporting.page import render_page
from limner.reporting.sections.object_matches import objects


def scores(**changes):
    rows = [{"iou": 0.5 + 0.05 * i, "f1": 0.8 - 0.05 * i, "precision": 0.9, "recall": 0.7} for i in range(10)]
    bars = [{"low": 0.5 + 0.05 * i, "high": 0.55 + 0.05 * i, "pairs": i} for i in range(10)]
    return {
        "task": "instance",
        "num_images": 12,
        "classes": [
            {"name": "cell", "ap": 0.4, "f1": 0.8, "objects": 50, "found_objects": 60},
            {"name": "dust", "ap": None, "f1": None, "objects": 0, "found_objects": 0},
        ],
        "ap": 0.4,
        "ap50": 0.7,
        "f1": 0.8,
        "f1_by_iou": rows,
        "matched_iou": bars,
        "count_error": 2.5,
        "count_bias": -1.5,
        "intervals": {"ap": [0.3, 0.5], "ap/cell": [0.25, 0.5]},
        "per_image": {"f1": {"num_images": 12, "mean": 0.75, "median": 0.8, "percentile_5": 0.4}},
        "definitions": {"ap": "Average precision.", "f1": "Twice the pairs."},
        **changes,
    }


@pytest.fixture
def page(tmp_path):
    def render(**changes):
        folder = tmp_path / "evaluation" / "val"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "scores.json").write_text(json.dumps(scores(**changes)), "utf-8")
        return render_page(gather(RunFolder(tmp_path)))

    return render


def test_a_page_of_objects_has_its_own_sections(page):
    text = page()
    assert 'id="objects"' in text
    assert 'id="confusion"' not in text and 'id="thresholds"' not in text
    assert "It finds 70\u00a0% of the objects, and 90\u00a0% of those it finds are correct" in text
    assert "0.300 to 0.500" in text  # the interval of the AP, under its number
    assert "95 % interval 0.250 to 0.500" in text  # that of the class
    assert "45 pairs at an IoU of 0.5 or more; 78 % at 0.75 or more." in text  # 5+6+7+8+9 = 35 of 45
    assert "On average, the number of objects in an image is off by 2.5; overall it is 1.5 too low." in text
    assert "1 more class, neither labelled nor predicted" in text
    assert "Intersection over union: pixels" not in text  # what nobody measured is not explained


def test_a_page_of_label_maps_has_no_objects(tmp_path, page):
    page(f1_by_iou=[])
    assert objects(gather(RunFolder(tmp_path))) is None


def test_a_right_count_and_nothing_found_are_said(page):
    assert "The number of objects is correct in every image." in page(count_error=0.0, count_bias=0.0)
    assert "overall it is neither too high nor too low" in page(count_bias=0.0)
    assert "No class is countable" in page(count_error=None)
    rows = [{"iou": 0.5, "f1": 0.0, "precision": None, "recall": 0.0}]
    text = page(f1_by_iou=rows, matched_iou=[{"low": 0.5, "high": 1.0, "pairs": 0}])
    assert "It finds none of the objects with a score of 0.5 or more." in text
    assert "IoU of matched pairs</h3>" not in text
