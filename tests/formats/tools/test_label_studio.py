import json
from typing import Any

import numpy as np
import pytest

from limner.core.errors import DataError
from limner.formats import open_source
from limner.formats.tools.label_studio import unpack_brush

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def result(kind: str, label: str = "cat", **value: Any) -> dict[str, Any]:
    size = {"original_width": 60, "original_height": 40}
    return {"id": "r1", "type": kind, "value": {kind: [label], **value}, **size}


def task(
    *results: dict[str, Any], image: str = "/data/upload/3/0a1b2c3d-a.png", **more: Any
) -> dict[str, Any]:
    return {"id": 5, "data": {"image": image}, "annotations": [{"result": list(results)}]} | more


def opened(make_tree, *tasks: dict[str, Any], **files: object) -> Any:
    return open_source(make_tree({"a.png": PICTURE, "export.json": json.dumps(tasks)} | files))


def pack_brush(values: list[int]) -> list[int]:
    """Pack bytes as single values and runs, written from the description of the stream alone."""
    bits = f"{len(values):032b}{7:05b}{2:04b}{7:04b}{9:04b}{15:04b}"
    place = 0
    while place < len(values):
        end = place
        while end < len(values) and values[end] == values[place] and end - place < 1 << 16:
            end += 1
        if end - place > 2:
            bits += f"1{3:02b}{end - place - 1:016b}{values[place]:08b}"
        else:
            bits += f"0{0:02b}{end - place - 1:03b}" + "".join(f"{v:08b}" for v in values[place:end])
        place = end
    bits += "0" * (-len(bits) % 8)
    return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]


def brush(mask: np.ndarray) -> list[int]:
    return pack_brush(np.repeat(np.where(mask, 255, 0).astype(np.uint8)[..., None], 4, -1).ravel().tolist())


RECTANGLE = result("rectanglelabels", x=50, y=25, width=25, height=50, rotation=0)


def test_every_kind_of_result(make_tree) -> None:
    mask = np.random.default_rng(1).random((40, 60)) < 0.2
    source = opened(
        make_tree,
        task(
            RECTANGLE,
            result("polygonlabels", "dog", points=[[0, 0], [50, 0], [50, 50], [0, 50]]),
            result("brushlabels", "dog", format="rle", rle=brush(mask)),
            result("ellipselabels", x=50, y=50, radiusX=10, radiusY=10),
            result("keypointlabels", x=50, y=50, width=1),
            {"type": "choices", "value": {"choices": ["good"]}},
        ),
    )
    assert source.name == "label-studio"
    segments = source.read_segments(source.records[0])
    assert segments.labels.tolist() == [1, 2, 2, 1, 1, 0]
    assert segments.areas.tolist()[:2] == [15 * 20, 30 * 20]
    np.testing.assert_array_equal(segments.masks()[2], mask)
    assert segments.areas[3] == pytest.approx(np.pi * 6 * 4, rel=0.1)
    assert source.read_boxes(source.records[0]).xyxy[0].tolist() == [30, 10, 45, 30]


def test_shapes_and_labels_of_two_tags_are_one_object(make_tree) -> None:
    square = {"points": [[0, 0], [50, 0], [50, 50], [0, 50]]}
    shape = {**result("polygon", **square), "id": "s"}
    label = {**result("labels", "dog", **square), "id": "s"}
    unlabelled = {**result("rectangle", x=50, y=25, width=25, height=50), "id": "u"}
    source = opened(make_tree, task(shape, label, unlabelled))
    segments = source.read_segments(source.records[0])
    assert (segments.labels.tolist(), segments.areas[0]) == ([1, 0], 30 * 20)
    assert source.declared_labels().names == ("background", "dog")
    assert [(f.code, f.count) for f in source.findings] == [("annotation-malformed", 1)]


def test_a_turned_rectangle_turns_about_its_first_corner(make_tree) -> None:
    turned = result("rectanglelabels", x=50, y=25, width=25, height=50, rotation=90)
    source = opened(make_tree, task(turned))
    # 15 x 20 from (30, 10), turned clockwise: 20 to the left and 15 down.
    np.testing.assert_allclose(source.read_boxes(source.records[0]).xyxy[0], [10, 10, 30, 25], atol=1e-4)


def test_brush_streams_that_end_are_refused() -> None:
    packed = pack_brush([0, 0, 0, 0, 9, 9, 3, 255, 255, 255])
    assert unpack_brush(packed).tolist() == [0, 0, 0, 0, 9, 9, 3, 255, 255, 255]
    with pytest.raises(ValueError, match="too early"):
        unpack_brush(packed[:-3])


@pytest.mark.parametrize("image", ["s3://bucket/a.png", "/data/local-files/?d=my%20set/a.png", "a.png"])
def test_images_are_found_by_name(make_tree, image: str) -> None:
    source = opened(make_tree, task(RECTANGLE, image=image))
    assert [r.image.name for r in source.records] == ["a.png"]


def test_the_last_annotation_that_was_not_cancelled_counts(make_tree) -> None:
    annotations = [{"result": []}, {"result": [RECTANGLE]}, {"result": [], "was_cancelled": True}]
    source = opened(make_tree, task(annotations=annotations))
    assert len(source.read_objects(source.records[0])) == 1
    source = opened(make_tree, task(annotations=[]), task(RECTANGLE, image="b.png"), **{"b.png": PICTURE})
    assert [bool(r.labels) for r in source.records] == [False, True]


DEFECTS = {
    "rle-wrong-length": result("brushlabels", rle=pack_brush([1, 2, 3, 4])),
    "annotation-malformed": {"type": "polygonlabels", "value": {"polygonlabels": ["cat"]}},
    "shape-unknown": result("videorectangle"),
    "box-zero-size": result("rectanglelabels", x=1, y=1, width=0, height=4),
    "polygon-too-short": result("polygonlabels", points=[[1, 1], [2, 2]]),
}


@pytest.mark.parametrize("code", DEFECTS)
def test_defects_name_task_and_image(make_tree, code: str) -> None:
    good = result("polygonlabels", points=[[0, 0], [50, 0], [50, 50]])
    source = opened(make_tree, task(good, DEFECTS[code]))
    found = {f.code: f for f in source.findings}[code]
    assert found.where.startswith("export.json, task 5")
    assert found.files == ("a.png",)


def test_another_json_under_the_format_is_refused(make_tree) -> None:
    root = make_tree({"a.png": PICTURE, "export.json": '[{"image": "a.png", "label": []}]'})
    (root / "dataset.yaml").write_text("format: label-studio")
    with pytest.raises(DataError, match="no layout|No images"):
        open_source(root)


def test_a_region_with_two_labels_is_reported(make_tree) -> None:
    both = result("rectanglelabels", x=10, y=10, width=50, height=50)
    both["value"]["rectanglelabels"] = ["cat", "dog"]
    source = opened(make_tree, task(both))
    (finding,) = [f for f in source.findings if f.code == "several-labels"]
    assert (finding.found, finding.cases) == ("a region with the labels cat, dog", 1)
    assert source.declared_labels().names == ("background", "cat")


def test_regions_on_several_images_of_a_task_are_an_error(make_tree) -> None:
    left, right = (RECTANGLE | {"to_name": name} for name in ("left", "right"))
    source = opened(make_tree, task(left, right))
    assert not source.read_values(source.records[0]).any()
    (said,) = source.findings
    assert (said.code, said.severity.value) == ("annotation-malformed", "error")
    assert "several images of one task: left, right" in said.found


def test_a_brush_that_states_billions_of_values_takes_no_memory(make_tree, monkeypatch) -> None:
    monkeypatch.setattr("limner.formats.tools.label_studio.unpack_brush", None)  # not even called
    packed = [0x7F, 0xFF, 0xFF, 0xFF, *brush(np.ones((40, 60), bool))[4:]]
    source = opened(make_tree, task(RECTANGLE, result("brushlabels", format="rle", rle=packed)))
    assert "rle-wrong-length" in {f.code for f in source.findings}
