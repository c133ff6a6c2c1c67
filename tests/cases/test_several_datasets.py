"""A folder that holds several datasets is said to hold them, since only one of them would be read."""

import json

import numpy as np
import pytest

import limner
from limner.core.errors import DataError
from limner.core.finding import Severity


def noise(seed):
    return np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)


def half():
    mask = np.zeros((16, 16), np.uint8)
    mask[:, :8] = 1
    return mask


def pairs(place, *, mask="{}.png", seed=0):
    """Return images and masks below a folder, the masks named like `mask`."""
    files = {f"{place}images/im{i}.png": noise(seed + i) for i in range(4)}
    return files | {f"{place}masks/{mask.format(f'im{i}')}": half() for i in range(4)}


def yolo(place):
    files = {f"{place}images/leaf{i}.png": noise(50 + i) for i in range(4)}
    return files | {f"{place}labels/leaf{i}.txt": "0 0.5 0.5 0.5 0.5\n" for i in range(4)}


def coco(place):
    numbers = range(1, 5)
    document = {
        "images": [{"id": i, "file_name": f"c{i}.png", "width": 16, "height": 16} for i in numbers],
        "categories": [{"id": 1, "name": "leaf"}],
        "annotations": [
            {
                "id": i,
                "image_id": i,
                "category_id": 1,
                "segmentation": [[1, 1, 9, 1, 9, 9]],
                "bbox": [1, 1, 8, 8],
                "area": 32,
                "iscrowd": 0,
            }
            for i in numbers
        ],
    }
    files = {f"{place}images/c{i}.png": noise(70 + i) for i in numbers}
    return files | {f"{place}annotations.json": json.dumps(document)}


def labelme(place):
    shape = {"label": "leaf", "shape_type": "polygon", "points": [[1, 1], [9, 1], [9, 9]]}
    files = {f"{place}l{i}.png": noise(90 + i) for i in range(4)}
    for i in range(4):
        content = {"version": "5", "flags": {}, "shapes": [shape], "imagePath": f"l{i}.png"}
        files[f"{place}l{i}.json"] = json.dumps(content | {"imageHeight": 16, "imageWidth": 16})
    return files


def several(root):
    return [finding for finding in limner.check(root).findings if finding.code == "several-datasets"]


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (pairs("A/") | yolo("B/"), "B/ (yolo)"),
        (pairs("A/") | coco("B/"), "A/ (paired-folders)"),
        (pairs("A/") | labelme("B/"), "B/ (labelme)"),
        (coco("A/") | labelme("B/") | yolo("C/"), "B/ (labelme), C/ (yolo)"),
        (pairs("A/") | pairs("B/", mask="{}_mask_of_leaf.png", seed=9), "B/ (paired-folders)"),
        (pairs("all/A/") | labelme("all/B/"), "all/B/ (labelme)"),
        (pairs("") | labelme("other/"), "other/ (labelme)"),
    ],
)
def test_datasets_that_would_be_left_out_are_named(tree, files, names):
    root = tree(files)
    (finding,) = several(root)
    assert finding.severity is Severity.ERROR
    assert finding.found.startswith(names) and f"limner check {root}/" in finding.fix
    assert "format: " in finding.fix


@pytest.mark.parametrize(
    ("files", "read", "other"),
    [
        (pairs("") | coco(""), "coco-instances", "paired-folders"),
        (pairs("") | yolo(""), "paired-folders", "yolo"),
        (pairs("") | labelme("images/"), "paired-folders", "labelme"),
    ],
)
def test_datasets_in_the_same_folders_are_several_too(tree, files, read, other):
    root = tree(files)
    (finding,) = several(root)
    assert finding.severity is Severity.ERROR and "left out" in finding.found
    assert finding.found.index(read) < finding.found.index(other)
    (root / "dataset.yaml").write_text(f"format: {other}")
    assert several(root) == [] and limner.check(root).source.name == other


def test_two_kinds_of_labels_of_the_same_images_are_one_dataset(tree):
    same = {f"masks/c{i}.png": half() for i in range(1, 5)}
    assert several(tree(coco("") | same)) == []


def test_the_format_in_dataset_yaml_answers(tree):
    root = tree(pairs("A/") | yolo("B/") | {"dataset.yaml": "format: paired-folders"})
    assert several(root) == []


def test_each_dataset_is_read_if_it_is_named(tree):
    root = tree(pairs("A/") | yolo("B/"))
    assert not several(root / "A") and limner.check(root / "B").source.name == "yolo"


@pytest.mark.parametrize(
    "files",
    [
        pairs("patient1/") | pairs("patient2/", seed=9),  # one dataset by patients
        pairs("train/") | {f"test/images/t{i}.png": noise(40 + i) for i in range(4)},  # a split without masks
        pairs("") | {f"drafts/d{i}.png": noise(40 + i) for i in range(3)},  # no labels there
        coco("") | {f"photos/p{i}.png": noise(40 + i) for i in range(3)},
    ],
)
def test_one_dataset_is_one(tree, files):
    assert several(tree(files)) == []


def test_a_few_leftovers_are_a_warning(tree):
    files = {f"images/im{i}.png": noise(i) for i in range(50)}
    files |= {f"masks/im{i}.png": half() for i in range(50)}
    (finding,) = several(tree(files | labelme("try/")))
    assert finding.severity is Severity.WARNING


def test_a_folder_of_datasets_that_is_none_itself_names_them(tree):
    icdar = {f"words/img_{i}.jpg": noise(i) for i in range(3)}
    icdar |= {f"words/gt_img_{i}.txt": "1,1,9,1,9,9,1,9,word\n" for i in range(3)}
    classes = {f"animals/{kind}/{i}.png": noise(i) for kind in ("ant", "bee") for i in range(3)}
    (finding,) = several(tree(icdar | classes))  # the folders would be two classes otherwise
    assert finding.found.startswith("words/ (icdar-text) is a dataset")
    with pytest.raises(DataError, match=r"animals/ \(class-folders\), words/ \(icdar-text\)"):
        limner.check(tree({"photo.png": noise(0)}))
