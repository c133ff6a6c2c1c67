import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from limner.core.errors import DataError
from limner.formats import open_source
from limner.formats.coco.coco_annotations import read_runs
from limner.formats.drawn import runs_to_mask
from limner.formats.problems import Problems

PICTURE = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
SQUARE = [2, 1, 5, 1, 5, 3, 2, 3]  # x from 2 to 5, y from 1 to 3: 3 x 2 pixels
NO_SIZE = {"id": 1, "file_name": "a.png"}


def annotation(number: Any, **changes: Any) -> dict[str, Any]:
    row = {"id": number, "image_id": 1, "category_id": 3, "iscrowd": 0, "segmentation": [SQUARE]}
    return {key: value for key, value in (row | changes).items() if value is not None}


def coco(*annotations: dict[str, Any], **changes: Any) -> str:
    images = [{"id": 1, "file_name": "a.png", "height": 6, "width": 9}]
    categories = [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}]
    whole = {"images": images, "annotations": list(annotations), "categories": categories}
    return json.dumps(copy.deepcopy(whole) | changes)


def opened(make_tree, text: str, **more: object) -> Any:
    return open_source(make_tree({"images/a.png": PICTURE, "annotations.json": text, **more}))


def test_polygons_runs_and_crowds_become_segments(make_tree) -> None:
    # Runs go down the columns: 6 outside (column 0), then 2 inside at its top, and the rest outside.
    crowd = annotation(2, category_id=7, iscrowd=1, segmentation={"counts": [6, 2, 46], "size": [6, 9]})
    source = opened(make_tree, coco(annotation(1), crowd))
    assert source.name == "coco-instances"
    assert source.findings == ()
    (record,) = source.records
    segments = source.read_segments(record)
    expected = np.zeros((3, 6, 9), bool)
    expected[0, 1:3, 2:5] = True
    expected[1, :2, 1] = True
    expected[2] = ~(expected[0] | expected[1])  # the background
    np.testing.assert_array_equal(segments.masks(), expected)
    assert segments.labels.tolist() == [3, 7, 0]
    assert segments.is_crowd.tolist() == [False, True, False]
    table = source.declared_labels()
    assert table.names == ("background", "cat", "dog")
    assert table.things().names == ("cat", "dog")
    assert np.unique(source.read_values(record)).tolist() == [0, 3, 7]


def test_compressed_runs_are_those_of_pycocotools() -> None:
    coco_mask = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(1)
    for size in ((5, 7), (40, 33), (300, 200)):
        mask = np.asfortranarray(rng.random(size) < 0.3).astype(np.uint8)
        mask[:, : size[1] // 2] = 1  # long runs need several characters
        text = coco_mask.encode(mask)["counts"].decode()
        np.testing.assert_array_equal(runs_to_mask(read_runs(text), *size), mask)


BAD = {
    "category-unknown": (
        coco(annotation(1), annotation(9, category_id=44)),
        "annotation 9",
        "category id 44",
    ),
    "image-missing": (
        coco(annotation(1), images=json.loads(coco())["images"] + [{"id": 2, "file_name": "b.png"}]),
        "image 2",
        "no b.png on disk",
    ),
    "polygon-too-short": (coco(annotation(9, segmentation=[[1, 1, 2, 2]])), "annotation 9", "of 2 points"),
    "polygon-outside-image": (
        coco(annotation(9, segmentation=[[2, 1, 50, 1, 50, 3, 2, 3]])),
        "annotation 9",
        "x from 2 to 50, y from 1 to 3 in 9 x 6",
    ),
    "annotation-empty": (coco(annotation(9, segmentation=[[2, 1, 5, 1, 3, 1]])), "annotation 9", "area 0"),
    "rle-wrong-length": (
        coco(annotation(9, segmentation={"counts": [6, 2, 6], "size": [6, 9]})),
        "annotation 9",
        "runs of 14 pixels; the image has [6, 9], 54 pixels",
    ),
    "annotation-listed-twice": (coco(annotation(9), annotation(9)), "annotation 9", "duplicate id"),
    "boxes-among-masks": (
        coco(annotation(1), annotation(9, segmentation=None, bbox=[1, 1, 2, 2])),
        "annotation 9",
        "a box only",
    ),
    "boxes-only": (
        coco(annotation(9, segmentation=[], bbox=[1, 1, 2, 2])),
        "coco-instances",
        "1 boxes and no masks",
    ),
    "box-zero-size": (
        coco(annotation(9, segmentation=[], bbox=[1, 1, 0, 2])),
        "annotation 9",
        "0 x 2 pixels",
    ),
    "box-outside-image": (
        coco(annotation(9, bbox=[1, 1, 20, 2])),
        "annotation 9",
        "x from 1 to 21, y from 1 to 3 in 9 x 6",
    ),
    "annotation-image-unknown": (coco(annotation(9, image_id=5)), "annotation 9", "image id 5"),
    "annotation-malformed": (
        coco(annotation(9, segmentation=[[1, 2, "x", 4, 5, 6]])),
        "annotation 9",
        "[x, y",
    ),
    "ids-are-text": (coco(annotation("9", image_id="1", category_id="3")), "annotations.json", "as text"),
    "image-listed-twice": (
        coco(images=2 * json.loads(coco())["images"]),
        "image 1",
        "a.png and a.png",
    ),
    "category-listed-twice": (
        coco(categories=[{"id": 3, "name": "cat"}, {"id": 4, "name": "cat"}]),
        "category 4",
        "repeats",
    ),
}


@pytest.mark.parametrize("code", BAD)
def test_each_defect_is_a_finding_that_names_file_and_annotation(make_tree, code: str) -> None:
    text, where, found = BAD[code]
    source = opened(make_tree, text)
    problems = Problems()
    for record in source.records:
        problems.take(source.label_problems(record))
    findings = {finding.code: finding for finding in (*source.findings, *problems.findings())}
    assert code in findings
    assert "annotations.json" in findings[code].where or code == "boxes-only"
    assert where in findings[code].where
    assert found in findings[code].found


def test_what_is_sound_beside_a_defect_is_kept(make_tree) -> None:
    bad = [json.loads(text)["annotations"] for text, _, _ in BAD.values()]
    source = opened(make_tree, coco(annotation(1000), *(row for rows in bad for row in rows)))
    segments = source.read_segments(source.records[0])
    assert segments.areas[0] == 6


def test_ids_as_text_mean_the_same(make_tree) -> None:
    source = opened(make_tree, coco(annotation("9", image_id="1", category_id="3")))
    assert source.read_segments(source.records[0]).labels.tolist() == [3, 0]


def test_ids_that_are_no_ids_do_not_stop_the_others(make_tree) -> None:
    rows = [annotation([1]), annotation({}, image_id=[2]), annotation(3, category_id={}), annotation(4)]
    source = opened(make_tree, coco(*rows))
    assert len(source.read_segments(source.records[0])) == 3  # the first, the last, the background
    assert {f.code: f.count for f in source.findings} == {"annotation-malformed": 2}


def test_a_category_of_id_0_is_no_background(make_tree) -> None:
    source = opened(make_tree, coco(annotation(1, category_id=0), categories=[{"id": 0, "name": "cell"}]))
    table = source.declared_labels()
    assert {c.name: c.values for c in table.classes} == {"background": (1,), "cell": (0,)}
    values = table.encode(source.read_values(source.records[0]))
    assert (values == table.names.index("cell")).sum() == 6


def test_splits_by_file_name_and_folder_and_keypoints_passed_over(make_tree) -> None:
    images = [{"id": 1, "file_name": "a.png"}]
    text = coco(annotation(1), images=images)
    root = make_tree(
        {
            "train2017/a.png": PICTURE,
            "val2017/a.png": PICTURE,
            "annotations/instances_train2017.json": text,
            "annotations/instances_val2017.json": text,
            "annotations/person_keypoints_val2017.json": text,
        }
    )
    source = open_source(root)
    assert {r.name: r.split for r in source.records} == {"train2017/a": "train", "val2017/a": "val"}
    assert [f.code for f in source.findings] == ["other-annotations-not-used"]


@pytest.mark.parametrize(
    "rest", [', "annotations"', ']}, "annotations": []}', '}], "annotations": {}, "x": []}']
)
def test_broken_json_is_named(make_tree, rest: str) -> None:
    with pytest.raises(DataError, match=r"annotations\.json"):
        opened(make_tree, '{"categories": [], "images": [{"file_name": "a.png"' + rest)


def test_boxes_of_what_was_drawn_and_of_boxes_alone(make_tree) -> None:
    both = [annotation(1, bbox=[2, 1, 3, 2]), annotation(2, segmentation=None, bbox=[0, 0, 9, 6], iscrowd=1)]
    source = opened(make_tree, coco(*both))
    boxes = source.read_boxes(source.records[0])
    assert (boxes.xyxy.tolist(), boxes.is_crowd.tolist()) == ([[2, 1, 5, 3], [0, 0, 9, 6]], [False, True])
    assert source.read_segments(source.records[0]).labels.tolist() == [3, 0]  # a box is no mask
    assert "detection" in source.tasks
    source = opened(make_tree, coco(both[1]))
    assert source.tasks == ("detection",)
    with pytest.raises(DataError, match="boxes"):
        source.read_segments(source.records[0])


def test_lvis_names_images_by_address_and_what_was_not_drawn_in_them(make_tree) -> None:
    image = {
        "id": 1,
        "coco_url": "http://images.cocodataset.org/train2017/000000000009.jpg",
        "height": 6,
        "width": 9,
    }
    image |= {"neg_category_ids": [7], "not_exhaustive_category_ids": [3]}
    root = make_tree(
        {
            "train2017/000000000009.png": PICTURE,
            "lvis_v1_train.json": coco(annotation(1), images=[image]),
        }
    )
    (root / "train2017/000000000009.png").rename(root / "train2017/000000000009.jpg")
    source = open_source(root)
    assert [(r.name, r.split) for r in source.records] == [("train2017/000000000009", "train")]
    assert [f.code for f in source.findings] == ["not-exhaustive"]


def test_lvis_says_of_which_classes_all_objects_are_drawn(make_tree) -> None:
    images = [
        {"id": n, "file_name": f"{n}.png", "height": 6, "width": 9, "neg_category_ids": [2]} for n in (1, 2)
    ]
    images[0]["not_exhaustive_category_ids"] = [3]
    images.append({"id": 3, "file_name": "3.png", "height": 6, "width": 9})
    categories = [{"id": n, "name": f"kind {n}"} for n in (1, 2, 3, 4)]
    rows = [annotation(1, category_id=1), annotation(2), annotation(3, image_id=2), annotation(4, image_id=3)]
    text = coco(*rows, images=images, categories=categories)
    source = open_source(make_tree({f"images/{n}.png": PICTURE for n in (1, 2, 3)} | {"lvis.json": text}))
    table = source.declared_labels().things()
    complete = [table.encode_boxes(source.read_boxes(record)).complete for record in source.records]
    assert [one and {table.names[k] for k in one} for one in complete] == [
        {"kind 1", "kind 2"},
        {"kind 2", "kind 3"},
        None,
    ]
    segments = [table.encode_segments(source.read_segments(record)) for record in source.records]
    assert [each.complete for each in segments] == complete


def test_sizes_that_the_file_does_not_state_are_those_of_upright_images(make_tree) -> None:
    root = make_tree({"images/a.png": PICTURE, "all.json": coco(annotation(1), images=[NO_SIZE])})
    exif = Image.Exif()
    exif[0x0112] = 6  # the first row is the right side
    Image.fromarray(PICTURE).save(root / "images/a.png", exif=exif)
    source = open_source(root)
    (record,) = source.records
    assert source.read_image(record).array.shape == (9, 6, 3)
    assert source.read_values(record).shape == source.read_boxes(record).shape == (9, 6)


def test_boxes_know_the_outlines_of_polygons_and_runs(make_tree) -> None:
    triangle = annotation(1, segmentation=[[2, 1, 5, 1, 2, 4]])
    runs = annotation(2, segmentation={"counts": [6, 2, 46], "size": [6, 9]})
    upright, bare = annotation(3), annotation(4, segmentation=None, bbox=[1, 1, 3, 3])
    source = opened(make_tree, coco(triangle, runs, upright, bare))
    outlines = source.read_boxes(source.records[0]).outlines
    assert outlines.lengths.tolist() == [3, 4, 0, 0]
    assert {tuple(point) for point in outlines.points[3:].tolist()} == {(1, 0), (2, 0), (1, 2), (2, 2)}


def test_more_classes_than_labels_can_hold_are_refused(make_tree, monkeypatch) -> None:
    many = [{"id": n, "name": f"kind {n}"} for n in range(1, 400)]
    root = make_tree({"images/a.png": PICTURE, "annotations.json": coco(annotation(1), categories=many)})
    monkeypatch.setattr("limner.formats.shapes.object_source.MAX_CLASSES", 300)  # 65,535 take long to read
    with pytest.raises(DataError, match=r"399 classes(.|\n)*`classes` in dataset\.yaml"):
        open_source(root).declared_labels()


def test_dataset_yaml_picks_among_many_classes(make_tree) -> None:
    many = [{"id": n, "name": f"kind {n}"} for n in range(1, 400)]
    root = make_tree({"images/a.png": PICTURE, "annotations.json": coco(annotation(1), categories=many)})
    assert open_source(root).declared_labels().num_classes == 400
    (root / "dataset.yaml").write_text("classes: [{name: kind 5, value: 5}]")
    source = open_source(root)
    assert source.declared_labels().names == ("background", "kind 5")
    assert not (source.read_values(source.records[0]) == 3).any()
    assert "397 more like it" in next(f for f in source.findings if f.code == "class-not-named").found


def test_areas_are_those_that_coco_wrote(shared_data: Path) -> None:
    coco_mask = pytest.importorskip("pycocotools.mask")
    rows = json.loads((shared_data / "coco_instances" / "annotations.json").read_text())["annotations"]
    source = open_source(shared_data / "coco_instances")

    def area(row: dict[str, Any], height: int, width: int) -> float:
        if isinstance(row["segmentation"], list):
            return row["area"]
        # The file states another area of its one crowd than its runs have.
        return float(coco_mask.area(coco_mask.frPyObjects(row["segmentation"], height, width)))

    for record in source.records:
        segments = source.read_segments(record)
        mine = [row for row in rows if f"#{row['image_id']}" in str(record.entry)]
        wanted = [area(row, *segments.spatial_shape) for row in mine]
        # COCO wrote the area of the polygon, which differs from the pixels inside by its border.
        np.testing.assert_allclose(segments.areas[:-1], wanted, rtol=0.05, atol=8)


@pytest.mark.parametrize("nothing", [[], [[]], None, {}])
def test_boxes_may_have_an_empty_list_of_polygons(make_tree, nothing) -> None:
    row = annotation(1, segmentation=nothing, bbox=[2, 1, 3, 2]) | {"segmentation": nothing}
    source = opened(make_tree, coco(row))
    assert source.tasks == ("detection",)
    assert source.read_boxes(source.records[0]).xyxy.tolist() == [[2, 1, 5, 3]]


def test_a_box_that_cvat_rotated_is_the_upright_box_around_it(make_tree) -> None:
    said = {"occluded": False, "rotation": 90.0}
    source = opened(make_tree, coco(annotation(1, segmentation=[], bbox=[2, 2, 4, 2], attributes=said)))
    (record,) = source.records  # 4 x 2 about (4, 3) becomes 2 x 4
    np.testing.assert_allclose(source.read_boxes(record).xyxy, [[3, 1, 5, 5]], atol=1e-6)
    assert [case[0] for case in source.label_problems(record).cases()] == ["box-rotated"]
