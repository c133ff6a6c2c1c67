"""labelme's flags as classes: the layout of its own example of classification."""

import base64
import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.core.finding import Severity
from limner.formats import open_source

PHOTO = np.full((6, 9, 3), 90, np.uint8)


def written(name: str, *flags: str, shapes: tuple[dict[str, object], ...] = ()) -> str:
    told = {flag: flag in flags for flag in ("__ignore__", "cat", "dog")}
    return json.dumps(
        {"version": "5.4.1", "flags": told, "shapes": shapes, "imagePath": name, "imageData": None}
    )


@pytest.fixture
def animals(make_tree) -> Path:
    tree: dict[str, object] = {"flags.txt": "__ignore__\ncat\ndog\n"}
    for folder, name, flags in (
        ("train", "a", ["cat"]),
        ("train", "b", ["dog"]),
        ("train", "c", ["cat", "dog"]),
        ("train", "d", []),
        ("val", "e", ["dog"]),
    ):
        tree |= {f"{folder}/{name}.jpg": PHOTO, f"{folder}/{name}.json": written(f"{name}.jpg", *flags)}
    return make_tree(
        {**tree, "train/gone.json": written("gone.jpg", "cat"), "train/cut.json": '{"shapes": ['}
    )


def test_the_flag_that_is_set_is_the_class(animals):
    source = open_source(animals)
    assert (source.name, source.class_names) == ("labelme-flags", ("cat", "dog"))
    assert [(r.name, r.split, r.label) for r in source.records] == [
        ("train/a.jpg", "train", 0),
        ("train/b.jpg", "train", 1),
        ("val/e.jpg", "val", 1),
    ]


def test_images_without_one_single_flag_are_left_out_and_said(animals):
    said = {f.code: f for f in open_source(animals).findings if f.severity is Severity.WARNING}
    assert said["flags-unclear"].files == ("train/c.json", "train/d.json")
    assert "cat, dog" in said["flags-unclear"].found
    assert set(said["annotation-without-image"].files) == {"train/cut.json", "train/gone.json"}


def test_shapes_are_objects_though_there_are_flags(make_tree):
    shape = {"label": "ear", "points": [[1, 1], [5, 1], [5, 4]], "shape_type": "polygon", "group_id": None}
    tree = {"a.jpg": PHOTO, "a.json": written("a.jpg", "cat", shapes=(shape,))}
    assert open_source(make_tree(tree)).name == "labelme"


def test_one_shape_after_many_empty_images_makes_them_objects(make_tree):
    """Projects with flags such as "checked" may begin with images that show nothing."""
    shape = {"label": "ear", "points": [[1, 1], [5, 1], [5, 4]], "shape_type": "polygon", "group_id": None}
    names = [f"{n:02}" for n in range(30)]
    tree: dict[str, object] = {f"{name}.jpg": PHOTO for name in names}
    tree |= {f"{name}.json": written(f"{name}.jpg", "cat") for name in names}
    source = open_source(make_tree({**tree, "29.json": written("29.jpg", "cat", shapes=(shape,))}))
    assert (source.name, len(source.records)) == ("labelme", 30)


def test_an_image_of_two_files_is_said(make_tree):
    tree = {"a/x.jpg": PHOTO, "a/x.json": written("x.jpg", "cat"), "b/x.json": written("x.jpg", "dog")}
    source = open_source(make_tree(tree))
    assert [(r.name, source.class_names[source.read_class(r)]) for r in source.records] == [
        ("a/x.jpg", "cat")
    ]
    assert [f.where for f in source.findings if f.code == "image-in-two-files"] == ["b/x.json"]


def test_images_inside_the_json(make_tree):
    stored = BytesIO()
    Image.fromarray(PHOTO).save(stored, "PNG")
    whole = json.loads(written("a.png", "cat")) | {"imageData": base64.b64encode(stored.getvalue()).decode()}
    source = open_source(make_tree({"a.json": json.dumps(whole)}))
    np.testing.assert_array_equal(source.read_image(source.records[0]).array, PHOTO)
