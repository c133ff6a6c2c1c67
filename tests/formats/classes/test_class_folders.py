from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from limner.core.errors import ConfigError, DataError
from limner.formats import open_source

PICTURE = np.zeros((6, 9, 3), np.uint8)


def folders(*paths: str) -> dict[str, object]:
    """Three pictures in each folder, those of a folder alike."""
    return {f"{path}/{n}.png": PICTURE + np.uint8(i) for i, path in enumerate(paths) for n in range(3)}


def said(source) -> list[tuple[str, str | None, str]]:
    names = source.declared_labels().names
    return sorted({(names[source.read_class(r)], r.split, r.image.parent.name) for r in source.records})


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (("ants", "bees"), [("ants", None, "ants"), ("bees", None, "bees")]),
        (
            ("train/ants", "train/bees", "val/ants"),
            [("ants", "train", "ants"), ("ants", "val", "ants"), ("bees", "train", "bees")],
        ),
        (("images/test/fox", "images/train/yak"), [("fox", "test", "fox"), ("yak", "train", "yak")]),
        (("xray/train/ill", "xray/val/well"), [("ill", "train", "ill"), ("well", "val", "well")]),
        (("zoo/fox/den", "zoo/yak"), [("fox", None, "den"), ("yak", None, "yak")]),
        (("a/one", "a/two", "b/one"), [("a", None, "one"), ("a", None, "two"), ("b", None, "one")]),
    ],
)
def test_folders_are_classes(make_tree, paths, expected):
    source = open_source(make_tree(folders(*paths)))
    assert source.name == "class-folders"
    assert said(source) == expected
    assert len({r.name for r in source.records}) == len(source.records)


@pytest.mark.parametrize(
    "files",
    [
        folders("images"),
        folders("train", "val"),
        folders("only"),
        {f"case{n}/scan.png": PICTURE for n in range(5)},  # one image each: patients rather than classes
        folders("images/a", "masks/b"),
    ],
)
def test_what_is_no_class(make_tree, files):
    with pytest.raises(DataError, match="No images with masks"):
        open_source(make_tree(files))


def test_masks_beside_images_are_not_taken_for_classes(make_tree):
    root = make_tree(folders("ants/images", "ants/masks", "bees/images", "bees/masks"))
    assert open_source(root).name == "paired-folders"


def test_names_and_lists_of_dataset_yaml(make_tree):
    text = "classes: [Ant, Bee]\nsplits: {train: t.txt, val: v.txt}\n"
    lists = {"t.txt": "a/0.png\na/1.png\nb/0.png", "v.txt": "b/2.png\na/2.png"}
    source = open_source(make_tree(folders("a", "b") | {"dataset.yaml": text} | lists))
    assert source.declared_labels().names == ("Ant", "Bee")
    assert {r.name: r.split for r in source.records}["b/2.png"] == "val"
    with pytest.raises(ConfigError, match="names 3 classes, and the images have 2"):
        open_source(make_tree({"dataset.yaml": "classes: [x, y, z]"})).declared_labels()


def test_insects(shared_data: Path):
    source = open_source(shared_data / "insects")
    assert Counter((r.split, source.read_class(r)) for r in source.records) == {
        ("train", 0): 30,
        ("train", 1): 30,
        ("val", 0): 15,
        ("val", 1): 15,
    }
    (gif,) = [r for r in source.records if r.image.suffix == ".gif"]
    assert source.read_image(gif).array.shape[-1] == 3  # the colours that the palette shows


def test_numbered_folders_are_in_numeric_order(make_tree):
    source = open_source(make_tree(folders("train/1", "train/2", "train/10", "train/other")))
    assert source.declared_labels().names == ("1", "2", "10", "other")
    assert [f.code for f in source.findings if f.code == "class-order"] == []


def test_a_renaming_by_position_says_which_folder_each_name_means(make_tree):
    tree = folders("1", "2", "10")
    root = make_tree(tree | {"dataset.yaml": "classes: [{name: cat}, {name: dog}, {name: fox}]\n"})
    source = open_source(root)
    (found,) = [f for f in source.findings if f.code == "class-order"]
    assert "1 is 'cat', 2 is 'dog', 10 is 'fox'" in found.found and "1, 10, 2" in found.found
    rows = [
        f"{{name: {name}, names: ['{folder}']}}" for name, folder in (("cat", 1), ("dog", 2), ("fox", 10))
    ]
    by_folder = f"classes: [{', '.join(rows)}]\n"
    source = open_source(make_tree(tree | {"dataset.yaml": by_folder}))
    assert source.declared_labels().names == ("cat", "dog", "fox")
    assert [f.code for f in source.findings if f.code == "class-order"] == []


@pytest.mark.parametrize("paths", [("mask", "no_mask"), ("train/mask", "train/no_mask", "val/mask")])
def test_folders_that_sound_like_labels_are_classes_if_dataset_yaml_says_so(make_tree, paths):
    files = {f"{path}/{i}{n}.png": PICTURE for i, path in enumerate(paths) for n in range(3)}
    with pytest.raises(DataError, match="format: class-folders"):
        open_source(make_tree(files))
    source = open_source(make_tree({"dataset.yaml": "format: class-folders\n"}))
    assert source.declared_labels().names == ("mask", "no_mask")
    assert len(source.records) == len(files)


def test_one_image_of_each_class_is_enough_if_dataset_yaml_says_so(make_tree):
    files = {f"{name}/1.png": PICTURE for name in ("fox", "owl", "yak")}
    source = open_source(make_tree({"dataset.yaml": "format: class-folders\n", **files}))
    assert source.declared_labels().names == ("fox", "owl", "yak") and len(source.records) == 3
