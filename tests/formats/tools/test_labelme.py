import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from limner.core.errors import DataError
from limner.formats import open_source
from limner.formats.coco.coco_instances import CocoInstances
from limner.formats.dataset_yaml import read_dataset_file

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def shape(points: Any, kind: str = "polygon", label: str = "cell", **more: Any) -> dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind, "group_id": None, "flags": {}} | more


def labelme(*shapes: dict[str, Any], **changes: Any) -> str:
    whole = {"version": "5.0.1", "flags": {}, "shapes": list(shapes), "imagePath": "a.png", "imageData": None}
    return json.dumps(whole | {"imageHeight": 40, "imageWidth": 60} | changes)


def png(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def opened(make_tree, *shapes: dict[str, Any], **changes: Any) -> Any:
    return open_source(make_tree({"a.png": PICTURE, "a.json": labelme(*shapes, **changes)}))


SQUARE = [[10, 10], [30, 10], [30, 30], [10, 30]]
INNER = [[15, 15], [20, 15], [20, 20], [15, 20]]
ASIDE = [[40, 10], [50, 10], [50, 20], [40, 20]]


def test_groups_are_one_object_and_what_lies_inside_is_a_hole(make_tree) -> None:
    source = opened(
        make_tree,
        *(shape(points, group_id=1) for points in (SQUARE, INNER, ASIDE)),
        shape(INNER, label="dirt"),
    )
    assert (source.name, source.findings) == ("labelme", ())
    segments = source.read_segments(source.records[0])
    assert segments.labels.tolist() == [1, 2, 0]
    # 20 x 20 less 5 x 5, and 10 x 10 beside; then the other label of the same outline.
    assert segments.areas.tolist()[:2] == [400 - 25 + 100, 25]
    assert source.declared_labels().names == ("background", "cell", "dirt")


def test_every_kind_of_shape(make_tree) -> None:
    drawn = np.zeros((4, 5), np.uint8)
    drawn[1:3, 1:4] = 255
    source = opened(
        make_tree,
        shape([[30, 30], [10, 10]], "rectangle"),
        shape([[20, 20], [20, 28]], "circle"),
        shape([[5, 5], [25, 5], [25, 35]], "linestrip"),
        shape([[40, 20]], "point"),
        shape([[50, 30], [54, 33]], "mask", mask=png(drawn)),
        shape(ASIDE, "star"),
    )
    areas = source.read_segments(source.records[0]).areas
    assert areas[0] == 400
    assert areas[1] == pytest.approx(np.pi * 64, rel=0.04)
    assert areas[2] == pytest.approx(50 * 10, rel=0.1)
    assert areas[4] == 6
    codes = {f.code: 1 + f.found.count("1 more like it") for f in source.findings}
    assert codes == {"drawn-by-width": 2, "shape-unknown": 1}
    assert source.read_boxes(source.records[0]).xyxy[0].tolist() == [10, 10, 30, 30]


def test_flags_and_special_labels(make_tree) -> None:
    source = opened(
        make_tree,
        shape(SQUARE, flags={"crowd": True, "difficult": False}),
        shape(ASIDE, label="__ignore__"),
    )
    assert source.read_segments(source.records[0]).is_crowd.tolist() == [True, False, False]
    assert source.declared_labels().ignored_values == (255,)
    assert (source.read_values(source.records[0]) == 255).sum() == 100


def test_an_image_inside_its_json(make_tree) -> None:
    root = make_tree({"a.json": labelme(shape(SQUARE), imageData=png(PICTURE))})
    source = open_source(root)
    np.testing.assert_array_equal(source.read_image(source.records[0]).array, PICTURE)


def test_rectangles_alone_are_boxes(make_tree) -> None:
    source = opened(make_tree, shape([[30, 30], [10, 10]], "rectangle"))
    assert source.tasks == ("detection",)
    assert [f.code for f in source.findings] == ["boxes-only"]
    with pytest.raises(DataError, match="boxes"):
        source.read_segments(source.records[0])


DEFECTS = {
    "polygon-too-short": shape(SQUARE[:2]),
    "polygon-outside-image": shape([[10, 10], [90, 10], [30, 30]]),
    "annotation-malformed": shape([[10, 10], [30, "x"], [30, 30]]),
    "annotation-empty": shape([[10, 10], [20, 20], [30, 30]]),
    "box-zero-size": shape([[10, 10], [10, 30]], "rectangle"),
    "box-outside-image": shape([[10, 10], [80, 30]], "rectangle"),
}


@pytest.mark.parametrize("code", DEFECTS)
def test_defects_name_file_and_shape(make_tree, code: str) -> None:
    source = opened(make_tree, shape(SQUARE), DEFECTS[code])
    (found,) = source.findings
    assert (found.code, found.where) == (code, "a.json, shape 1")
    assert found.files == ("a.json",)
    assert found.fix
    assert source.read_segments(source.records[0]).areas[0] > 300  # the sound one, perhaps covered a little


def test_a_shape_without_a_label(make_tree) -> None:
    square = shape([[10, 10], [20, 10], [20, 20], [10, 20]])
    for label in ("", " ", None):
        source = opened(make_tree, square, {**square, "label": label})
        assert [(f.code, f.where) for f in source.findings] == [("annotation-malformed", "a.json, shape 1")]
        assert source.declared_labels().names == ("background", square["label"])


def test_a_bow_tie_is_drawn_though_its_two_sides_cancel_out(make_tree) -> None:
    source = opened(make_tree, shape([[10, 10], [30, 30], [30, 10], [10, 30]]))
    # Two triangles of 20 x 10 / 2 pixels.
    assert (source.read_values(source.records[0]) == 1).sum() == pytest.approx(200, abs=25)
    assert source.findings == ()


def test_files_that_fit_no_image_and_images_that_fit_no_file(make_tree) -> None:
    files = {"a.png": PICTURE, "a.json": labelme(shape(SQUARE)), "b.json": labelme(imagePath="b.png")}
    source = open_source(make_tree(files | {"c.png": PICTURE}))
    assert {f.code: f.where for f in source.findings} == {
        "annotation-without-image": "b.json",
        "image-without-mask": "c.png",
    }
    assert [bool(r.labels) for r in source.records] == [True, False]


def test_one_broken_file_costs_one_image(make_tree) -> None:
    files = {f"{n}.png": PICTURE for n in "ab"}
    source = open_source(make_tree(files | {"a.json": labelme(shape(SQUARE)), "b.json": "{broken"}))
    assert source.read_values(source.records[0]).any()
    with pytest.raises(DataError, match=r"b\.json"):
        source.read_values(source.records[1])


def test_names_that_dataset_yaml_leaves_out(make_tree) -> None:
    root = make_tree({"a.png": PICTURE, "a.json": labelme(shape(SQUARE), shape(ASIDE, label="dirt"))})
    (root / "dataset.yaml").write_text("classes: [cell]")
    source = open_source(root)
    assert [f.code for f in source.findings] == ["class-not-named"]
    assert source.declared_labels().names == ("background", "cell")
    assert len(source.read_objects(source.records[0])) == 1


def test_the_masks_are_those_of_labelmes_own_converter(shared_data: Path) -> None:
    folder = shared_data / "labelme" / "instance_segmentation"
    source = open_source(folder / "data_annotated")
    assert source.name == "labelme"
    for record in source.records:
        with Image.open(folder / "data_dataset_voc" / "SegmentationObject" / f"{record.name}.png") as picture:
            objects = np.asarray(picture)
        segments = source.read_segments(record)
        covered = (segments.masks()[(segments.labels != 0) & (segments.labels != 255)]).any(0)
        theirs = objects > 0
        # labelme paints outlines one pixel wider.
        assert (covered & theirs).sum() / (covered | theirs).sum() > 0.97


def test_the_coco_conversion_beside_it_has_the_same_outlines(shared_data: Path) -> None:
    folder = shared_data / "labelme" / "instance_segmentation"
    ours = open_source(folder / "data_annotated")
    coco = CocoInstances(folder / "data_dataset_coco", read_dataset_file(folder / "data_dataset_coco"))
    by_name = {Path(record.name).name: record for record in coco.records}
    for record in ours.records:
        mine = [d for d in ours.read_objects(record) if d.value != 255]
        theirs = coco.read_objects(by_name[record.name])
        assert sorted(sum(len(s.numbers) for s in d.shapes) for d in mine) == sorted(
            sum(len(s.numbers) for s in d.shapes) for d in theirs
        )
