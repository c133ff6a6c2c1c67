"""Images that were resized after their objects were drawn: asked about, and labels scaled to them."""

import json

import numpy as np
import pytest
from PIL import Image

from limner.api.check import check
from limner.formats import open_source

DRAWN = np.zeros((144, 192), bool)
DRAWN[20:60, 40:100] = True
OUTLINE = [[40, 20], [100, 20], [100, 60], [40, 60]]


def coco(shape: tuple[int, int], *, runs: bool = False) -> str:
    height, width = shape
    pixels = DRAWN.T.ravel()
    changes = np.flatnonzero(np.diff(pixels)) + 1
    counts = np.diff([0, *changes, pixels.size]).tolist()
    mask = {"counts": counts, "size": [*shape]} if runs else [sum(OUTLINE, [])]
    return json.dumps(
        {
            "images": [
                {"id": n, "file_name": f"{n}.png", "height": height, "width": width} for n in range(3)
            ],
            "categories": [{"id": 1, "name": "cell"}],
            "annotations": [
                {"id": n, "image_id": n, "category_id": 1, "segmentation": mask, "bbox": [40, 20, 60, 40]}
                for n in range(3)
            ],
        }
    )


def labelme(name: str) -> str:
    shapes = [{"label": "cell", "points": OUTLINE, "shape_type": "polygon"}]
    return json.dumps({"shapes": shapes, "imagePath": name, "imageHeight": 144, "imageWidth": 192})


def pictures(height: int, width: int) -> dict[str, object]:
    return {f"{n}.png": np.full((height, width, 3), n, np.uint8) for n in range(3)}


@pytest.mark.parametrize("kind", ["polygons", "runs", "labelme"])
def test_labels_are_scaled_if_accepted(tree, kind) -> None:
    files = pictures(72, 96)
    files |= (
        {f"{n}.json": labelme(f"{n}.png") for n in range(3)}
        if kind == "labelme"
        else {"all.json": coco((144, 192), runs=kind == "runs")}
    )
    root = tree(files)
    (asked,) = [f for f in check(root).findings if f.code == "size-mismatch"]
    assert (asked.severity.value, asked.proposal) == ("error", {"images_resized": True})
    assert "192x144" in asked.found and "96x72" in asked.found and "all by the factor 0.5" in asked.found
    found = check(root, accept=True)
    assert "size-mismatch" not in {f.code for f in found.findings}
    source = open_source(root)
    np.testing.assert_array_equal(source.read_values(source.records[0]) > 0, DRAWN[::2, ::2])
    np.testing.assert_allclose(source.read_boxes(source.records[0]).xyxy, [[20, 10, 50, 30]])


def test_each_image_may_have_its_own_factor(tree) -> None:
    root = tree(pictures(72, 96) | {"all.json": coco((144, 192))})
    Image.new("RGB", (48, 36)).save(root / "0.png")
    (asked,) = [f for f in check(root).findings if f.code == "size-mismatch"]
    assert asked.proposal == {"images_resized": True} and "factor" not in asked.found


@pytest.mark.parametrize(("size", "words"), [((192, 144), "rotate the images back"), ((100, 192), "cropped")])
def test_what_may_be_turned_or_cropped_is_not_proposed(tree, size, words) -> None:
    (asked,) = [
        f
        for f in check(tree(pictures(*size) | {"all.json": coco((144, 192))})).findings
        if f.code == "size-mismatch"
    ]
    assert asked.proposal is None and words in asked.fix


def test_images_that_are_turned_through_exif_are_said_to_be(tree) -> None:
    root = tree(pictures(144, 192) | {"all.json": coco((144, 192))})
    for path in root.glob("*.png"):
        exif = Image.Exif()
        exif[0x0112] = 6  # the first row is the right side
        Image.open(path).save(path, exif=exif)
    (asked,) = [f for f in check(root).findings if f.code == "size-mismatch"]
    assert asked.proposal is None and "exiftool -Orientation=" in asked.fix
