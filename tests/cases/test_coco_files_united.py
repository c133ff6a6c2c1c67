"""COCO's JSON files that list an image twice, or number their categories differently."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from limner.formats import open_source
from limner.formats.source import Source

LEFT, RIGHT = (2, 2, 4, 4), (12, 2, 4, 8)  # x, y, width, height: 16 and 32 pixels


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((12, 20, 3), np.uint8)).save(path)


def coco(path: Path, names: list[str], boxes: list[tuple], categories: dict[int, str]) -> None:
    """Write a JSON with image i + 1 called names[i]; a box is (image id, category id, x, y, w, h)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    annotations = []
    for number, (image, category, x, y, w, h) in enumerate(boxes, start=1):
        outline = [x, y, x + w, y, x + w, y + h, x, y + h]
        row = {"id": number, "image_id": image, "category_id": category, "bbox": [x, y, w, h]}
        annotations.append(row | {"segmentation": [outline]})
    images = [{"id": i, "file_name": n, "width": 20, "height": 12} for i, n in enumerate(names, start=1)]
    listed = [{"id": number, "name": name} for number, name in categories.items()]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": listed}))


def codes(source: Source) -> set[str]:
    return {finding.code for finding in source.findings}


def areas(source: Source, record: int = 0) -> list[int]:
    """Pixels of each value, background first."""
    return np.bincount(source.read_values(source.records[record]).ravel()).tolist()


def test_annotations_of_one_file_under_two_ids_are_united(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.png")
    coco(tmp_path / "all.json", ["a.png", "a.png"], [(1, 1, *LEFT), (2, 1, *RIGHT)], {1: "cell"})
    source = open_source(tmp_path)
    assert len(source.records) == 1
    assert areas(source) == [240 - 48, 48]
    assert codes(source) == {"image-under-two-ids"}


def test_jpg_and_png_of_one_name_are_two_images(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.png"):
        picture(tmp_path / "images" / name)
    coco(tmp_path / "all.json", ["a.jpg", "a.png"], [(1, 1, *LEFT), (2, 1, *RIGHT)], {1: "cell"})
    source = open_source(tmp_path)
    assert [areas(source, 0)[1], areas(source, 1)[1]] == [16, 32]


def test_files_of_splits_come_before_a_file_of_all_images(tmp_path: Path) -> None:
    for name in "abc":
        picture(tmp_path / f"images/{name}.png")
        boxes = [(1, 1, *LEFT)]
        split = {"a": "train", "b": "val", "c": "test"}[name]
        coco(tmp_path / f"annotations/{split}.json", [f"{name}.png"], boxes, {1: "cell"})
    boxes = [(image, 1, *LEFT) for image in (1, 2, 3)]
    coco(tmp_path / "annotations/all.json", ["a.png", "b.png", "c.png"], boxes, {1: "cell"})
    source = open_source(tmp_path)
    assert [record.split for record in source.records] == ["train", "val", "test"]
    (finding,) = source.findings
    assert (finding.code, finding.where, finding.cases) == ("image-in-two-files", "annotations/all.json", 3)


def test_other_annotations_of_an_image_in_a_second_file_are_an_error(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.png")
    coco(tmp_path / "cells.json", ["a.png"], [(1, 1, *LEFT)], {1: "cell"})
    coco(tmp_path / "dirt.json", ["a.png"], [(1, 2, *RIGHT), (1, 2, *LEFT)], {2: "dirt"})
    (finding,) = open_source(tmp_path).findings
    assert (finding.code, finding.severity.value) == ("image-annotated-twice", "error")
    assert "1 annotations in cells.json#1, and 2 here" in finding.found


def test_categories_numbered_differently_are_united_by_name(tmp_path: Path) -> None:
    for job in ("one", "two"):
        picture(tmp_path / job / "images/a.png")
    coco(tmp_path / "one/a.json", ["a.png"], [(1, 1, *LEFT), (1, 2, *RIGHT)], {1: "cell", 2: "dirt"})
    coco(tmp_path / "two/a.json", ["a.png"], [(1, 2, *LEFT), (1, 1, *RIGHT)], {1: "dirt", 2: "cell"})
    source = open_source(tmp_path)
    assert source.declared_labels().names == ("background", "cell", "dirt")
    assert [areas(source, record)[1:] for record in (0, 1)] == [[16, 32], [16, 32]]
    assert codes(source) == {"categories-numbered-differently"}


def test_percent_encoded_names(tmp_path: Path) -> None:
    picture(tmp_path / "images/my image #0.png")
    coco(tmp_path / "all.json", ["images/my%20image%20%230.png"], [(1, 1, *LEFT)], {1: "cell"})
    source = open_source(tmp_path)
    assert areas(source) == [224, 16]
    assert codes(source) == set()


def test_a_name_with_percent_signs_is_taken_as_it_is(tmp_path: Path) -> None:
    for name in ("a%20b.png", "a b.png"):
        picture(tmp_path / "images" / name)
    coco(tmp_path / "all.json", ["a%20b.png", "a b.png"], [(1, 1, *LEFT), (2, 1, *RIGHT)], {1: "cell"})
    source = open_source(tmp_path)
    assert {record.image.name: areas(source, i)[1] for i, record in enumerate(source.records)} == {
        "a b.png": 32,
        "a%20b.png": 16,
    }


def test_utf16_as_powershell_writes_it(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.png")
    coco(tmp_path / "all.json", ["a.png"], [(1, 1, *LEFT)], {1: "cell"})
    (tmp_path / "all.json").write_text((tmp_path / "all.json").read_text(), encoding="utf-16")
    source = open_source(tmp_path)
    assert (source.name, areas(source)) == ("coco-instances", [224, 16])


def test_a_file_for_each_class_is_no_repetition(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.png")
    coco(tmp_path / "cells.json", ["a.png"], [(1, 1, *LEFT)], {1: "cell"})
    coco(tmp_path / "dirt.json", ["a.png"], [(1, 2, *RIGHT)], {2: "dirt"})
    (finding,) = open_source(tmp_path).findings
    assert (finding.code, finding.severity.value) == ("image-annotated-twice", "error")
    assert "1 annotations in cells.json#1, and 1 here of other classes" in finding.found


def test_labels_of_a_missing_image_do_not_go_to_one_of_its_name(tmp_path: Path) -> None:
    picture(tmp_path / "a/1.png")
    coco(tmp_path / "all.json", ["b/1.png", "a/1.png"], [(1, 1, *RIGHT), (2, 1, *LEFT)], {1: "cell"})
    source = open_source(tmp_path)
    assert areas(source) == [224, 16]
    (said,) = source.findings
    assert (said.code, said.where) == ("image-missing", "all.json, image 1")


def test_images_of_one_name_by_paths_of_another_machine(tmp_path: Path) -> None:
    for folder in "ab":
        picture(tmp_path / "images" / folder / "1.png")
    names = [rf"D:\set\{folder}\1.png" for folder in "ab"]
    coco(tmp_path / "all.json", names, [(1, 1, *LEFT), (2, 1, *RIGHT)], {1: "cell"})
    source = open_source(tmp_path)
    assert [areas(source, record)[1] for record in (0, 1)] == [16, 32]
    assert codes(source) == set()


def test_two_spellings_of_the_path_of_one_image_are_no_loss(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.png")
    coco(tmp_path / "all.json", ["a.png", "images/a.png"], [(1, 1, *LEFT), (2, 1, *LEFT)], {1: "cell"})
    source = open_source(tmp_path)
    assert areas(source) == [224, 16]
    assert codes(source) == {"image-in-two-files"}
