"""A list of classes in dataset.yaml goes by name wherever the labels name classes, in any order."""

import json

import numpy as np
import pytest

import limner
from limner.core.errors import ConfigError
from limner.core.label_map import LabelMap
from limner.formats import open_source
from limner.formats.dataset_yaml import read_dataset_file
from limner.loading.dataset import Dataset

SIDES = {"a": 4, "b": 8, "c": 16}
"""Class -> side of its square, so that a class is known by its area."""


def noise(side=32, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def coco(classes, *, ids=(1, 2, 3)):
    categories = [{"id": i, "name": name} for i, name in zip(ids, SIDES, strict=True)]
    rows = [
        {
            "id": i,
            "image_id": 1,
            "category_id": category["id"],
            "iscrowd": 0,
            "bbox": [0, 16 * n, SIDES[category["name"]], SIDES[category["name"]]],
            "area": 1,
            "segmentation": [square(16 * n, SIDES[category["name"]])],
        }
        for n, (i, category) in enumerate(enumerate(categories, start=1))
    ]
    image = {"id": 1, "file_name": "one.png", "height": 48, "width": 48}
    content = {"images": [image], "annotations": rows, "categories": categories}
    return {
        "images/one.png": noise(48),
        "annotations.json": json.dumps(content),
        "dataset.yaml": f"classes: {classes}",
    }


def square(top, side):
    return [0, top, side, top, side, top + side, 0, top + side]


def panoptic(classes):
    png, segments = np.zeros((48, 48, 3), np.uint8), []
    for number, side in enumerate(SIDES.values(), start=1):
        png[16 * (number - 1) : 16 * (number - 1) + side, :side, 0] = number
        segments.append({"id": number, "category_id": 10 * number, "iscrowd": 0, "area": side**2})
    content = {
        "images": [{"id": 1, "file_name": "one.jpg", "height": 48, "width": 48}],
        "annotations": [{"image_id": 1, "file_name": "one.png", "segments_info": segments}],
        "categories": [{"id": 10 * i, "name": name, "isthing": 1} for i, name in enumerate(SIDES, start=1)],
    }
    return {
        "images/one.jpg": noise(48),
        "panoptic/one.png": png,
        "panoptic.json": json.dumps(content),
        "dataset.yaml": f"classes: {classes}",
    }


def trained_areas(root):
    """Class name -> pixels that a network is trained to call so."""
    source = open_source(root)
    table = source.declared_labels()
    labels = Dataset(source, source.records, table)[0].get(LabelMap).labels
    return {name: int((labels == i).sum()) for i, name in enumerate(table.names)}


@pytest.mark.parametrize("ids", [(1, 2, 3), (3, 1, 7), (0, 1, 2)])
@pytest.mark.parametrize("names", ["abc", "cab", "ca", "b"])
@pytest.mark.parametrize("background", [True, False])
def test_coco_categories_by_name(tree, names, ids, background):
    classes = ["background"] * background + list(names)
    areas = trained_areas(tree(coco(f"[{', '.join(classes)}]", ids=ids)))
    assert {name: areas[name] for name in names} == {name: SIDES[name] ** 2 for name in names}
    assert list(areas) == ["background", *names]


@pytest.mark.parametrize("names", ["abc", "cab", "ca", "b"])
def test_panoptic_categories_by_name(tree, names):
    areas = trained_areas(tree(panoptic(f"[{', '.join(names)}]")))
    assert areas == {name: SIDES[name] ** 2 for name in names}


def test_a_value_still_chooses_a_category_under_another_name(tree):
    areas = trained_areas(tree(coco("[{name: small, value: 1}, {name: c, value: 3}]")))
    assert areas == {"background": 48 * 48 - 16 - 256, "small": 16, "c": 256}


@pytest.mark.parametrize("make", [coco, panoptic])
def test_a_name_that_does_not_exist_lists_those_that_do(tree, make):
    with pytest.raises(ConfigError, match=r"'d'(.|\n)*names of the labels: a, b, c"):
        open_source(tree(make("[a, d]")))


def test_a_value_that_contradicts_its_name_is_refused(tree):
    with pytest.raises(ConfigError, match=r"'c' with the value 1, which is 'a'(.|\n)*the value 3"):
        open_source(tree(coco("[{name: c, value: 1}]")))


def test_a_kept_index_gives_the_same_classes(tree):
    root = tree(coco("[c, a]"))
    cold = limner.check(root).labels
    assert limner.check(root).labels == cold
    (root / "dataset.yaml").write_text("classes: [a, c]")
    assert limner.check(root).labels.names == ("background", "a", "c")


def test_class_folders_by_name_or_renamed_all_at_once(tree):
    files = {f"{name}/{i}.png": noise(seed=i) for name in ("cat", "dog") for i in range(2)}
    root = tree({**files, "dataset.yaml": "classes: [dog, cat]"})
    source = open_source(root)
    table = source.declared_labels()
    found = {
        record.name.split("/")[0]: table.names[table.trained_as[source.read_class(record)]]
        for record in source.records
    }
    assert found == {"cat": "cat", "dog": "dog"} and table.names == ("dog", "cat")
    (root / "dataset.yaml").write_text("classes: [Katze, Hund]")
    assert open_source(root).declared_labels().names == ("Katze", "Hund")
    (root / "dataset.yaml").write_text("classes: [dog, Katze]")
    with pytest.raises(ConfigError, match="'Katze'"):
        open_source(root).declared_labels()


def test_masks_with_a_list_of_names_by_name(tree):
    mask = np.kron([[0, 1], [2, 2]], np.ones((16, 16))).astype(np.uint8)
    files = {"JPEGImages/1.jpg": noise(), "SegmentationClass/1.png": mask}
    names = {"class_names.txt": "background\nroad\ncar\n", "dataset.yaml": "classes: [background, car, road]"}
    root = tree(files | names)
    assert trained_areas(root) == {"background": 256, "car": 512, "road": 256}


def test_a_table_of_colours_by_name(tree):
    colours = {"road": (128, 64, 128), "car": (0, 0, 142)}
    mask = np.zeros((32, 32, 3), np.uint8)
    mask[:8], mask[8:] = colours["road"], colours["car"]
    rows = "".join(f"{name},{r},{g},{b}\n" for name, (r, g, b) in colours.items())
    files = {"images/1.png": noise(), "masks/1.png": mask, "class_dict.csv": f"name,r,g,b\n{rows}"}
    root = tree({**files, "dataset.yaml": "classes: [car, road]"})
    assert trained_areas(root) == {"car": 24 * 32, "road": 8 * 32}


@pytest.mark.parametrize("classes", ["[a, {name: b, value: 0}]", "[{name: b, values: [1, 2]}, a]"])
def test_a_name_whose_position_is_the_value_of_another_class_is_refused(tmp_path, classes):
    (tmp_path / "dataset.yaml").write_text(f"classes: {classes}")
    with pytest.raises(ConfigError, match="'a' has no value.*the value of 'b'.*Give each class a value"):
        read_dataset_file(tmp_path)
