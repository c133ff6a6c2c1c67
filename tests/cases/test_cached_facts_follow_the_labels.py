"""A second check shows the same facts as a first one, whatever was edited between them."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage

from limner.checks.scan import scan
from limner.formats import open_source

SIDE = 16


def add_image(root, name, label, size):
    """Write an image with one square of `label`; its pixels differ by name."""
    pixels = np.random.default_rng(len(name) + sum(map(ord, name))).integers(
        0, 256, (SIDE, SIDE, 3), np.uint8
    )
    PillowImage.fromarray(pixels).save(root / f"{name}.png")
    corners = [[0, 0], [size, 0], [size, size], [0, size]]
    shape = {"label": label, "points": corners, "shape_type": "polygon", "flags": {}, "group_id": None}
    labels = {"version": "5.0", "flags": {}, "shapes": [shape], "imagePath": f"{name}.png"}
    labels |= {"imageData": None, "imageHeight": SIDE, "imageWidth": SIDE}
    (root / f"{name}.json").write_text(json.dumps(labels))


def pixels_of(root, *, cache=True):
    """Return image -> class name -> pixels, without the background."""
    source = open_source(root)
    classes = source.declared_labels().classes
    names = {value: c.name for c in classes for value in c.values}
    facts = scan(source, cache=cache, workers=1).images
    return {
        f.name: {names.get(v, v): n for v, n in f.value_counts.items() if v != source.uncovered}
        for f in facts
    }


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "drawn"
    folder.mkdir()
    for name, label, size in (("a", "dent", 4), ("b", "scratch", 6), ("c", "stain", 8)):
        add_image(folder, name, label, size)
    return folder


def test_a_new_label_renumbers_the_others(root):
    assert pixels_of(root) == {"a": {"dent": 16}, "b": {"scratch": 36}, "c": {"stain": 64}}
    add_image(root, "d", "bubble", 2)  # first in the alphabet: it takes the value of dent
    expected = {"a": {"dent": 16}, "b": {"scratch": 36}, "c": {"stain": 64}, "d": {"bubble": 4}}
    assert pixels_of(root) == expected


def test_an_edited_class_list_renumbers_the_labels(root):
    (root / "dataset.yaml").write_text("classes: [background, dent, scratch, stain]\n")
    expected = {"a": {"dent": 16}, "b": {"scratch": 36}, "c": {"stain": 64}}
    assert pixels_of(root) == expected
    (root / "dataset.yaml").write_text("classes: [background, stain, dent, scratch]\n")
    assert pixels_of(root) == expected


EDITS = {
    "add": lambda root: add_image(root, "d", "bubble", 2),
    "remove": lambda root: [(root / f"a.{end}").unlink(missing_ok=True) for end in ("png", "json")],
    "relabel": lambda root: add_image(root, "b", "crack", 6),
    "resize": lambda root: add_image(root, "c", "stain", 5),
    "forward": lambda root: (root / "dataset.yaml").write_text("classes: [dent, scratch, stain]\n"),
    "backward": lambda root: (root / "dataset.yaml").write_text("classes: [stain, scratch, dent]\n"),
    "fewer": lambda root: (root / "dataset.yaml").write_text("classes: [background, stain]\n"),
    "no list": lambda root: (root / "dataset.yaml").unlink(missing_ok=True),
}


def outcome(root, *, cache):
    try:
        return pixels_of(root, cache=cache)
    except ValueError as error:
        return str(error)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.lists(st.sampled_from(sorted(EDITS)), min_size=1, max_size=4))
def test_a_warm_scan_equals_a_cold_one_after_any_edit(root, edits):
    for edit in edits:
        EDITS[edit](root)
        assert outcome(root, cache=True) == outcome(root, cache=False)


def test_a_new_folder_of_class_masks_renumbers_the_others(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "masks of classes"
    names = {"a": ("disc", "vessel"), "b": ("disc", "vessel"), "c": ("disc", "vessel")}

    def draw(path, size):
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[:size, :size] = 255
        path.parent.mkdir(parents=True, exist_ok=True)
        PillowImage.fromarray(mask).save(path)

    for number, (name, kinds) in enumerate(names.items()):
        pixels = np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        (root / "images").mkdir(parents=True, exist_ok=True)
        PillowImage.fromarray(pixels).save(root / f"images/{name}.png")
        for size, kind in zip((8, 4), kinds, strict=True):
            draw(root / f"masks/{kind}/{name}.png", size)
    assert pixels_of(root)["images/a"] == {"disc": 64 - 16, "vessel": 16}
    for name in "bc":
        draw(root / f"masks/bleeding/{name}.png", 2)  # first in the alphabet; a has none
    found = pixels_of(root)
    assert found["images/a"] == {"disc": 64 - 16, "vessel": 16}
    assert found["images/b"] == {"disc": 64 - 16, "vessel": 16 - 4, "bleeding": 4}
