import json
from typing import Any

import numpy as np
import pytest

from limner.core.errors import DataError
from limner.formats import open_source
from limner.formats.coco.coco_panoptic import write_panoptic_png

PICTURE = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
CATEGORIES = [{"id": 5, "name": "car", "isthing": 1}, {"id": 9, "name": "sky", "isthing": 0}]
# Segment 70000 = 112 + 17 * 256 + 1 * 65536 is red 112, green 17, blue 1.
SEGMENTS = [{"id": 70000, "category_id": 5, "iscrowd": 0}, {"id": 3, "category_id": 9, "iscrowd": 0}]


def colours() -> np.ndarray:
    png = np.zeros((4, 6, 3), np.uint8)
    png[:2, :3] = (112, 17, 1)
    png[2:] = (3, 0, 0)
    return png


def tree(segments: list[dict[str, Any]] = SEGMENTS, **changes: Any) -> dict[str, object]:
    whole = {
        "images": [{"id": 1, "file_name": "a.png", "height": 4, "width": 6}],
        "annotations": [{"image_id": 1, "file_name": "a.png", "segments_info": segments}],
        "categories": CATEGORIES,
    }
    return {
        "pictures/a.png": PICTURE,
        "panoptic_val/a.png": colours(),
        "panoptic_val.json": json.dumps(whole | changes),
    }


def test_colours_become_segments_and_a_semantic_map(make_tree) -> None:
    source = open_source(make_tree(tree()))
    assert (source.name, source.findings) == ("coco-panoptic", ())
    (record,) = source.records
    assert (record.name, record.split) == ("pictures/a", "val")
    np.testing.assert_array_equal(source.read_image(record).array, PICTURE)
    segments = source.read_segments(record)
    assert segments.labels.tolist() == [5, 9]
    assert segments.areas.tolist() == [6, 12]
    values = source.read_values(record)
    assert values.tolist() == [[5, 5, 5, 0, 0, 0]] * 2 + [[9] * 6] * 2
    table = source.declared_labels()
    assert table.ignored_values == (0,)
    assert table.is_thing.tolist() == [True, False]


def test_a_colour_that_the_json_does_not_list_is_refused(make_tree) -> None:
    source = open_source(make_tree(tree(SEGMENTS[1:])))
    with pytest.raises(
        DataError, match=r"(?s)panoptic_val/a\.png.*segment 70000 \(colour #701101\) on 6 pixels"
    ):
        source.read_segments(source.records[0])


@pytest.mark.parametrize(
    ("changes", "code", "found"),
    [
        ({"segments": [*SEGMENTS, {"id": 4, "category_id": 77}]}, "category-unknown", "category id 77"),
        ({"segments": [*SEGMENTS, SEGMENTS[0]]}, "annotation-listed-twice", "duplicate segment id"),
        ({"images": [{"id": 1, "file_name": "b.jpg"}]}, "image-missing", "no b.jpg"),
        ({"annotations": [{"image_id": 1, "file_name": "c.png", "segments_info": []}]},
         "annotation-without-mask", "no c.png"),
    ],
)  # fmt: skip
def test_defects_are_findings(make_tree, changes: dict[str, Any], code: str, found: str) -> None:
    findings = {f.code: f for f in open_source(make_tree(tree(**changes))).findings}
    assert found in findings[code].found
    assert "panoptic_val.json" in findings[code].where


def test_written_pngs_are_read_back(make_tree, tmp_path) -> None:
    root = make_tree(tree())
    ids = np.array([[0, 1, 300], [70000, 3, 0]])
    write_panoptic_png(tmp_path / "x.png", ids)
    from PIL import Image

    pixels = np.asarray(Image.open(tmp_path / "x.png").convert("RGB")).astype(int)
    np.testing.assert_array_equal(pixels @ [1, 256, 65536], ids)
    assert root.is_dir()


def test_segments_without_a_pixel_and_crowds_are_named(make_tree) -> None:
    infos = [{"id": 1, "category_id": 5, "iscrowd": 1}, {"id": 9, "category_id": 5}]
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": 4, "width": 6}],
        "annotations": [{"image_id": 1, "file_name": "a.png", "segments_info": infos}],
        "categories": [{"id": 5, "name": "cat", "isthing": 1}],
    }
    png = np.zeros((4, 6, 3), np.uint8)
    png[:2, :, 0] = 1
    root = make_tree({"images/a.png": 0 * png, "panoptic/a.png": png, "panoptic.json": json.dumps(content)})
    source = open_source(root)
    found = {f.code: f for f in source.label_problems(source.records[0]).findings()}
    assert found.keys() == {"segment-not-in-png", "crowd"}
    assert found["segment-not-in-png"].where == "panoptic.json#1, segment 9"
    assert found["segment-not-in-png"].files == ("images/a.png",)
