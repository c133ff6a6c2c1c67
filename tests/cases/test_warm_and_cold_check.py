"""A second check, from what the first one kept, says what a check from nothing says."""

import json

import numpy as np
import pytest

import limner

FILES = 4


def noise(side=24, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def labelme(shapes):
    """Label -> side of its square at the image's corner."""
    rows = [
        {"label": name, "shape_type": "rectangle", "points": [[0, 0], [side, side]]}
        for name, side in shapes.items()
    ]
    return json.dumps({"shapes": rows, "imagePath": "", "imageHeight": 24, "imageWidth": 24})


def labelme_files():
    files = {f"{i}.png": noise(seed=i) for i in range(FILES)}
    return files | {f"{i}.json": labelme({"dent": 4 + i, "scratch": 2}) for i in range(FILES)}


def coco_files():
    images = [{"id": i, "file_name": f"{i}.png", "height": 24, "width": 24} for i in range(FILES)]
    rows = []
    for i in range(FILES):
        for category, side in ((1, 4 + i), (2, 2)):
            box = [10 * category, 0, side, side]
            ring = [
                10 * category,
                0,
                10 * category + side,
                0,
                10 * category + side,
                side,
                10 * category,
                side,
            ]
            row = {"id": len(rows) + 1, "image_id": i, "category_id": category, "bbox": box, "area": side**2}
            rows.append(row | {"segmentation": [ring], "iscrowd": 0})
    categories = [{"id": 1, "name": "dent"}, {"id": 2, "name": "scratch"}]
    content = {"images": images, "annotations": rows, "categories": categories}
    return {f"{i}.png": noise(seed=i) for i in range(FILES)} | {"labels.json": json.dumps(content)}


def panoptic_files():
    png = np.zeros((24, 24, 3), np.uint8)
    png[:8, :, 0], png[8:, :, 0] = 1, 2
    segments = [{"id": 1, "category_id": 1, "iscrowd": 0}, {"id": 2, "category_id": 2, "iscrowd": 0}]
    content = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "height": 24, "width": 24} for i in range(FILES)],
        "annotations": [
            {"image_id": i, "file_name": f"{i}.png", "segments_info": segments} for i in range(FILES)
        ],
        "categories": [
            {"id": 1, "name": "sky", "isthing": 0},
            {"id": 2, "name": "sea", "isthing": 0},
            {"id": 3, "name": "land", "isthing": 0},
        ],
    }
    files = {f"images/{i}.jpg": noise(seed=i) for i in range(FILES)}
    return files | {f"panoptic/{i}.png": png for i in range(FILES)} | {"panoptic.json": json.dumps(content)}


def mask_files():
    files = {f"images/{i}.png": noise(seed=i) for i in range(FILES)}
    ramp = np.tile(np.linspace(0, 255, 24).astype(np.uint8), (24, 1))
    return (
        files
        | {f"masks/{i}.png": ramp for i in range(FILES)}
        | {"dataset.yaml": "mask_encoding: {threshold: 100}"}
    )


def edit_json(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def second_category(content):
    content["annotations"][0]["category_id"] = 2


def renumbered(content):
    content["categories"].reverse()
    for category, number in zip(content["categories"], (1, 2), strict=True):
        category["id"] = number


def another_segment(content):
    content["annotations"][0]["segments_info"][0]["category_id"] = 3


EDITS = {
    "labelme: a new label between the others": (
        labelme_files,
        lambda root: (root / "0.json").write_text(labelme({"dent": 4, "fold": 3})),
    ),
    "labelme: a new image with a new label": (
        labelme_files,
        lambda root: (
            (root / "a.png").write_bytes((root / "0.png").read_bytes()),
            (root / "a.json").write_text(labelme({"bubble": 5})),
        ),
    ),
    "labelme: a class list": (
        labelme_files,
        lambda root: (root / "dataset.yaml").write_text("classes: [background, scratch, dent]"),
    ),
    "labelme: a class list with other values": (
        labelme_files,
        lambda root: (root / "dataset.yaml").write_text(
            "classes: [background, {name: dent, value: 7}, {name: scratch, value: 3}]"
        ),
    ),
    "labelme: a class left out": (
        labelme_files,
        lambda root: (root / "dataset.yaml").write_text("classes: [background, scratch]"),
    ),
    "labelme: an image renamed": (
        labelme_files,
        lambda root: [(root / f"0{s}").rename(root / f"z{s}") for s in (".png", ".json")],
    ),
    "labelme: an image removed": (
        labelme_files,
        lambda root: [(root / f"0{s}").unlink() for s in (".png", ".json")],
    ),
    "coco: another category": (coco_files, lambda root: edit_json(root / "labels.json", second_category)),
    "coco: categories renumbered": (coco_files, lambda root: edit_json(root / "labels.json", renumbered)),
    "coco: a class list": (
        coco_files,
        lambda root: (root / "dataset.yaml").write_text("classes: [scratch, dent]"),
    ),
    "coco: a background of another value": (
        coco_files,
        lambda root: (root / "dataset.yaml").write_text(
            "classes: [scratch, dent, {name: background, value: 9}]"
        ),
    ),
    "panoptic: a segment of another category": (
        panoptic_files,
        lambda root: edit_json(root / "panoptic.json", another_segment),
    ),
    "panoptic: a class list": (
        panoptic_files,
        lambda root: (root / "dataset.yaml").write_text("classes: [land, sea, sky]"),
    ),
    "masks: another threshold": (
        mask_files,
        lambda root: (root / "dataset.yaml").write_text("mask_encoding: {threshold: 30}"),
    ),
    "masks: colours": (mask_files, lambda root: (root / "dataset.yaml").write_text("mask_encoding: color")),
    "masks: one mask replaced": (
        mask_files,
        lambda root: (root / "masks/0.png").write_bytes((root / "images/0.png").read_bytes()),
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_is_seen(tree, tmp_path, monkeypatch, edit):
    files, change = EDITS[edit]
    root = tree(files())
    before = limner.check(root)
    change(root)
    warm = limner.check(root)
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "another cache"))
    cold = limner.check(root)
    assert (warm.rows, warm.labels, warm.findings) == (cold.rows, cold.labels, cold.findings)
    assert warm.objects == cold.objects
    assert (before.rows, before.findings) != (cold.rows, cold.findings), "the edit changes something"
