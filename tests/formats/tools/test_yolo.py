import unicodedata
from typing import Any

import numpy as np
import pytest

from limner.core.errors import DataError
from limner.formats import open_source

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
NAMES = "path: /another/machine/data\ntrain: images/train\nval: images/val\nnames: {0: cat, 1: dog}\n"
BOX = "1 0.5 0.5 0.5 0.25"  # of 60 x 40: x 15 to 45, y 15 to 25
POLYGON = "0 0.5 0.25 1 0.25 1 0.75 0.5 0.75"


def opened(make_tree, lines: str, **files: object) -> Any:
    files = {"images/train/a.png": PICTURE, "labels/train/a.txt": lines, "data.yaml": NAMES} | files
    return open_source(make_tree(files))


def test_polygons_and_boxes_in_pixels(make_tree) -> None:
    source = opened(make_tree, f"{POLYGON}\n\n{BOX}\n")
    assert source.name == "yolo"
    (record,) = source.records
    assert record.split == "train"
    assert source.read_boxes(record).xyxy.tolist() == [[30, 10, 60, 30], [15, 15, 45, 25]]
    segments = source.read_segments(record)
    assert (segments.labels.tolist(), segments.areas[0]) == ([1, 0], 30 * 20)
    # Beside polygons a box has no mask.
    assert {f.code for f in source.findings} == {"boxes-among-masks"}
    assert source.declared_labels().names == ("background", "cat", "dog")


def test_boxes_alone_with_or_without_confidence(make_tree) -> None:
    source = opened(make_tree, f"{BOX}\n{BOX} 0.9\n")
    assert source.tasks == ("detection",)
    boxes = source.read_boxes(source.records[0])
    assert (boxes.labels.tolist(), boxes.xyxy[1].tolist()) == ([2, 2], [15, 15, 45, 25])


def test_images_without_a_file_show_nothing(make_tree) -> None:
    source = opened(make_tree, BOX, **{"images/train/b.png": PICTURE, "labels/val/c.txt": ""})
    record = next(r for r in source.records if r.name.endswith("b"))
    assert not source.read_values(record).any()
    assert len(source.read_boxes(record)) == 0


@pytest.mark.parametrize("beside", ["classes.txt", "obj.names"])
def test_names_beside_the_labels(make_tree, beside: str) -> None:
    source = open_source(make_tree({"a.png": PICTURE, "a.txt": BOX, beside: "cat\ndog\n"}))
    assert source.declared_labels().names == ("background", "cat", "dog")
    assert source.read_boxes(source.records[0]).labels.tolist() == [2]


def test_without_names_numbers_stand_for_them(make_tree) -> None:
    source = open_source(make_tree({"a.png": PICTURE, "a.txt": f"10{BOX[1:]}\n{BOX}"}))
    assert source.declared_labels().names == ("background", "class 1", "class 10")


def test_splits_of_data_yaml(make_tree) -> None:
    text = "names: [cat, dog]\ntrain: ../sets/one/images\nval: ../sets/two/images\n"
    files = {f"sets/{s}/images/{s}.png": PICTURE for s in ("one", "two")}
    files |= {f"sets/{s}/labels/{s}.txt": BOX for s in ("one", "two")}
    source = open_source(make_tree(files | {"data.yaml": text}))
    assert {r.name.split("/")[1]: r.split for r in source.records} == {"one": "train", "two": "val"}


DEFECTS = {
    "class-beyond-names": ("7 0.5 0.5 0.5 0.25", "class 7, and names for 0 to 1"),
    "value-outside-0-1": ("1 0.9 0.5 0.5 0.25", "from 0.375 to 1.15"),
    "box-zero-size": ("1 0.5 0.5 0 0.25", "0 x 0.25"),
    "annotation-malformed": ("1 0.5 0.5 half 0.25", "no class number"),
}


@pytest.mark.parametrize("code", DEFECTS)
def test_defects_name_file_and_line(make_tree, code: str) -> None:
    line, said = DEFECTS[code]
    found = {f.code: f for f in opened(make_tree, f"{BOX}\n{line}\n").findings}[code]
    assert (found.where, found.files) == ("labels/train/a.txt, line 2", ("labels/train/a.txt",))
    assert said in found.found
    assert found.fix


def test_a_file_of_nothing_but_a_defect_is_reported(make_tree) -> None:
    # No label asks for the names of the classes, and whether they can be used is looked at all the same.
    found = opened(make_tree, f"-1{BOX[1:]}", **{"data.yaml": "names: 3\n"}).findings
    assert {"annotation-malformed", "names-unreadable"} <= {finding.code for finding in found}


def test_a_polygon_of_an_odd_number(make_tree) -> None:
    assert "odd" in opened(make_tree, f"{BOX}\n{POLYGON} 0.5").findings[0].found


def test_a_file_that_is_no_text_is_named(make_tree) -> None:
    more = {"images/train/b.png": PICTURE, "labels/train/b.txt": b"\xff\x00\x81"}
    source = opened(make_tree, BOX, **more)
    with pytest.raises(DataError, match=r"b\.txt"):
        source.read_boxes(source.records[1])


def test_other_text_files_are_no_labels(make_tree) -> None:
    with pytest.raises(DataError, match="No images with masks"):
        open_source(
            make_tree({"a.png": PICTURE, "a.txt": "a photo of a cat by the sea", "b.txt": "1 2 3 4 5"})
        )


def test_a_polygon_that_leaves_the_image_is_cut(make_tree) -> None:
    # From its corner at x = -30 it opens to all 40 pixels at x = 30, and so to 20 at the border. With the
    # corner moved to the border it would open from 0 there.
    source = opened(make_tree, "0 -0.5 0.5 0.5 0.0 0.5 1.0")
    drawn = source.read_values(source.records[0]) == 1
    assert drawn.sum() == pytest.approx(30 * (20 + 40) / 2, rel=0.03)
    assert [f.code for f in source.findings] == ["value-outside-0-1"]


def test_several_folders_of_a_split(make_tree) -> None:
    text = "names: [cat, dog]\ntrain: [sets/one, sets/two]\nval: [sets/three/]\n"
    files = {
        f"sets/{s}/{s}.{e}": c for s in ("one", "two", "three") for e, c in (("png", PICTURE), ("txt", BOX))
    }
    source = open_source(make_tree(files | {"data.yaml": text}))
    splits = {r.image.stem: r.split for r in source.records}
    assert splits == {"one": "train", "two": "train", "three": "val"}


def test_one_folder_for_training_and_validation_is_no_division(make_tree) -> None:
    text = "names: [cat, dog]\ntrain: images\nval: images\n"
    source = open_source(make_tree({"images/a.png": PICTURE, "labels/a.txt": BOX, "data.yaml": text}))
    assert [r.split for r in source.records] == [None]


def test_images_without_an_object_may_come_first(make_tree) -> None:
    files: dict[str, object] = {f"images/a{n}.png": PICTURE for n in range(30)}
    files |= {f"labels/a{n}.txt": "" for n in range(30)}
    source = open_source(make_tree(files | {"images/b.png": PICTURE, "labels/b.txt": BOX}))
    assert source.name == "yolo"
    assert len(source.records) == 31


@pytest.mark.parametrize("points", ["0.1 0.1 0.9 0.8 0.3 0.5", "0.1 0.1 2 0.9 0.8 1 0.3 0.5 0"])
def test_key_points_of_a_pose_are_no_polygon(make_tree, points: str) -> None:
    source = opened(make_tree, f"{BOX} {points}", **{"data.yaml": f"{NAMES}kpt_shape: [3, 2]\n"})
    assert source.tasks == ("detection",)
    assert source.read_boxes(source.records[0]).xyxy.tolist() == [[15, 15, 45, 25]]


def test_names_are_taken_as_they_are_written(make_tree) -> None:
    source = opened(make_tree, BOX, **{"data.yaml": "names: [yes, 1e3]\n"})
    assert source.declared_labels().names == ("background", "yes", "1e3")


@pytest.mark.parametrize(
    "names",
    [
        "names: " + "[" * 2_000 + "]" * 2_000,
        "a: &a [x, x]\nb: &b [*a, *a]\nnames: [*b, *b]",
        "names: {cat: 0}",
        "names: [cat, []]",
    ],
)
def test_names_that_cannot_be_used_are_reported(make_tree, names: str) -> None:
    source = opened(make_tree, BOX, **{"data.yaml": f"{names}\n"})
    (finding,) = [f for f in source.findings if f.code == "names-unreadable"]
    assert finding.where == "data.yaml"
    assert len(finding.found) < 200
    assert source.declared_labels().names[1] == "class 1"


def test_a_listed_background_is_no_class_of_objects(make_tree) -> None:
    source = opened(make_tree, f"{BOX}\n0{BOX[1:]}\n", **{"data.yaml": "names: [background, cat]\n"})
    table = source.declared_labels()
    assert table.names == ("background", "cat")
    boxes = table.things().encode_boxes(source.read_boxes(source.records[0]))
    assert [table.things().names[label] for label in boxes.labels] == ["cat"]


def test_labels_whose_names_differ_in_accents_or_capitals_belong_to_their_images(make_tree) -> None:
    composed, taken_apart = (unicodedata.normalize(form, "Gef\u00e4\u00df") for form in ("NFC", "NFD"))
    images = {f"images/{composed}.png": PICTURE, "images/IMG_1.JPG": PICTURE}
    labels = {f"labels/{taken_apart}.txt": BOX, "labels/img_1.txt": BOX}
    for given in ({}, {"images/b.png": PICTURE, "labels/b.txt": BOX}):  # no name fits exactly, or some do
        source = open_source(make_tree(images | labels | given))
        assert [len(source.read_boxes(record)) for record in source.records] == [1] * (2 + len(given) // 2)
        assert {finding.code for finding in source.findings} == {"boxes-only"}


def test_labels_without_their_images_are_reported(make_tree) -> None:
    files = {"images/a.png": PICTURE, "labels/a.txt": BOX, "labels/b.txt": BOX, "labels/c.txt": ""}
    source = open_source(make_tree(files | {"readme.txt": "5 4 3 2 1 boxes\n"}))
    (said,) = [f for f in source.findings if f.code == "annotation-without-image"]
    assert (said.where, said.count) == ("labels/b.txt", 1)


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("1 0.5 0.5 0.5 0.25 0.4 0.5 1 0.6 0.5 1 0 0 0", 1),  # of three key points, one is not labelled
        ("1 0.5 0.5 0.5 0.25 0.4 0.5 2 0.6 0.5 2", 1),
        ("1 0 0 1 0 1 1 0 1 0 0", 0),  # the outline of the image, closed
    ],
)
def test_a_pose_without_kpt_shape_is_a_box_and_a_polygon_none(make_tree, line, number) -> None:
    source = opened(make_tree, f"{line}\n")
    (record,) = source.records
    assert (source.tasks == ("detection",)) == bool(number)
    assert source.read_boxes(record).xyxy.tolist() == [[15, 15, 45, 25] if number else [0, 0, 60, 40]]


@pytest.mark.parametrize("first", ["data.yaml", "labels/one/classes.txt"])
def test_lists_that_name_a_class_differently_are_an_error(make_tree, first) -> None:
    files = {
        f"{kind}/{folder}/{folder}.{end}": PICTURE if end == "png" else BOX
        for folder in ("one", "two")
        for kind, end in (("images", "png"), ("labels", "txt"))
    }
    names = {"data.yaml": "names: [cat, dog]\n", "labels/one/classes.txt": "cat\ndog\n"}
    lists = {first: names[first], "labels/two/classes.txt": "cat\nsheep\n"}
    root = make_tree(files | lists | {"predefined_classes.txt": "person\nbicycle\n"})
    source = open_source(root)
    (said,) = [f for f in source.findings if f.code == "name-lists-differ"]
    assert (said.where, said.severity.value) == ("labels/two/classes.txt", "error")
    assert said.found == "class 1 is 'sheep' here, and read as 'dog'"
    assert source.declared_labels().names == ("background", "cat", "dog")
    (root / "dataset.yaml").write_text("classes: [background, dog]\n")
    assert "name-lists-differ" not in {finding.code for finding in open_source(root).findings}
