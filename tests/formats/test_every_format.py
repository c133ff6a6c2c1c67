"""What holds of each row of `FORMATS`; a new format is tested by adding how one of its folders is built."""

import json
import pickle
from collections.abc import Mapping

import numpy as np
import pytest

from limner.core.errors import DataError
from limner.formats import FORMATS, open_source

PICTURE = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
MASK = np.zeros((6, 9), np.uint8)
MASK[1:3, 2:5] = 1

CONFIG = json.dumps(
    {"labels": [{"name": n, "color": [i, 0, 0], "instances": False} for i, n in enumerate(("a", "b"))]}
)

COCO = {
    "images": [{"id": 1, "file_name": "é 1.png", "height": 6, "width": 9}],
    "categories": [{"id": 1, "name": "object", "isthing": 1}],
}
POLYGON = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[2, 1, 5, 1, 5, 3, 2, 3]]}
REGION = {"image_id": 1, "file_name": "é 1.png", "segments_info": [{"id": 1, "category_id": 1}]}

OBLONG = {"x": 200 / 9, "y": 100 / 6, "width": 300 / 9, "height": 200 / 6, "rectanglelabels": ["a"]}
RESULT = {"type": "rectanglelabels", "value": OBLONG, "original_width": 9, "original_height": 6}
TASK = {"data": {"image": "/data/upload/1/é%201.png"}, "annotations": [{"result": [RESULT]}]}

EXAMPLES: dict[str, Mapping[str, object]] = {
    "coco-panoptic": {
        "images/é 1.png": PICTURE,
        "panoptic/é 1.png": MASK[..., None] * np.array([1, 0, 0], np.uint8),
        "panoptic.json": json.dumps(COCO | {"annotations": [REGION]}),
    },
    "coco-instances": {
        "images/é 1.png": PICTURE,
        "annotations.json": json.dumps(COCO | {"annotations": [POLYGON]}),
    },
    "cityscapes": {
        "leftImg8bit/train/é/é_1_leftImg8bit.png": PICTURE,
        "gtFine/train/é/é_1_gtFine_labelIds.png": MASK,
    },
    "mapillary-vistas": {
        "config_v2.0.json": CONFIG,
        "training/images/é 1.jpg": PICTURE,
        "training/v2.0/labels/é 1.png": MASK,
    },
    "mapillary-vistas-1.2": {
        "config.json": CONFIG,
        "training/images/é 1.jpg": PICTURE,
        "training/labels/é 1.png": MASK,
    },
    "ade20k": {"images/ADE_train_00000001.png": PICTURE, "annotations/ADE_train_00000001.png": MASK},
    "coco-stuff": {
        "é 1/train2017/000000000009.jpg": PICTURE,
        "stuffthingmaps/train2017/000000000009.png": MASK,
    },
    "camvid": {"train/0016E5_00390.png": PICTURE, "trainannot/0016E5_00390.png": MASK},
    "retinal-vessels": {"images/01_test.png": PICTURE, "1st_manual/01_manual1.png": MASK},
    "polyps": {"Original/1.png": PICTURE, "Ground Truth/1.png": MASK},
    "listed-pairs": {"é 1/a.png": PICTURE, "é 1/b.png": MASK, "pairs.txt": "é 1/a.png, é 1/b.png"},
    "coloured-masks": {
        "images/é 1.png": PICTURE,
        "masks/é 1.png": MASK,
        "class_dict.csv": "name,r,g,b\nno,0,0,0\nyes,255,0,0\n",
    },
    "voc": {"JPEGImages/é 1.png": PICTURE, "SegmentationClass/é 1.png": MASK},
    "instance-masks": {"é 1/images/a.png": PICTURE, "é 1/masks/a.png": MASK, "é 1/masks/b.png": 0 * MASK},
    # Corners are filled with their border: x from 2 to 4 is three pixels.
    "icdar-text": {"é 1.png": PICTURE, "gt_é 1.txt": "\ufeff2,1,5,1,5,3,2,3,é,1\n"},
    "mmocr-text": {
        "imgs/é 1.png": PICTURE,
        "words.json": json.dumps(
            {
                "metainfo": {"dataset_type": "TextDetDataset"},
                "data_list": [
                    {"img_path": "imgs/é 1.png", "instances": [{"polygon": [2, 1, 5, 1, 5, 3, 2, 3]}]}
                ],
            }
        ),
    },
    "labelme": {
        "é 1.png": PICTURE,
        "é 1.json": json.dumps(
            {
                "shapes": [{"label": "a", "points": [[2, 1], [5, 3]], "shape_type": "rectangle"}],
                **{"imagePath": "é 1.png", "imageHeight": 6, "imageWidth": 9},
            }
        ),
    },
    "voc-boxes": {
        "JPEGImages/é 1.png": PICTURE,
        "Annotations/é 1.xml": "<annotation><size><width>9</width><height>6</height></size>"
        "<object><name>a</name><bndbox><xmin>3</xmin><ymin>2</ymin><xmax>5</xmax><ymax>3</ymax></bndbox></object>"
        "</annotation>",
    },
    "yolo": {
        "images/é 1.png": PICTURE,
        "labels/é 1.txt": f"0 {3.5 / 9} {2 / 6} {3 / 9} {2 / 6}\n",
        "data.yaml": "names: [a]",
    },
    "cvat": {
        "images/é 1.png": PICTURE,
        "annotations.xml": '<annotations><image id="0" name="é 1.png" width="9" height="6">'
        '<polygon label="a" points="2,1;5,1;5,3;2,3"/></image></annotations>',
    },
    "label-studio": {
        "é 1.png": PICTURE,
        "export.json": json.dumps([TASK]),
    },
    "paired-folders": {"images/é 1.png": PICTURE, "masks/é 1.png": MASK},
}
CLASSES: dict[str, Mapping[str, object]] = {
    "class-folders": {f"train/{kind}/{n}.png": PICTURE for kind in ("ñ 1", "b") for n in (1, 2)},
    "labelme-flags": {
        "é 1.png": PICTURE,
        "é 1.json": '{"flags": {"ñ": true, "b": false}, "shapes": [], "imagePath": "é 1.png"}',
    },
    "class-list": {"é 1.png": PICTURE, "all.txt": "é 1.png ñ\n"},
}
"""Formats that give a class for the whole image."""
MASKS = [name for name in FORMATS if name not in CLASSES]


@pytest.mark.parametrize("name", MASKS)
def test_reads_images_and_values(make_tree, name: str) -> None:
    source = open_source(make_tree(EXAMPLES[name]))
    assert source.name == name
    assert FORMATS[name].title
    (record,) = source.records
    if record.image.suffix != ".jpg":
        np.testing.assert_array_equal(source.read_image(record).array, PICTURE)
    values = source.read_values(record)
    np.testing.assert_array_equal(values, MASK)
    assert values.dtype.kind in "ui"


@pytest.mark.parametrize("name", MASKS)
def test_can_cross_to_another_process(make_tree, name: str) -> None:
    source = open_source(make_tree(EXAMPLES[name]))
    again = pickle.loads(pickle.dumps(source))
    assert again.records == source.records
    np.testing.assert_array_equal(again.read_values(again.records[0]), MASK)


@pytest.mark.parametrize("name", MASKS)
def test_a_kept_index_is_the_index(make_tree, name: str, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("limner.formats.index_cache.MIN_FILES", 0)
    monkeypatch.setattr("limner.formats.index_cache.SETTLED_NS", -(10**18))
    root = make_tree(EXAMPLES[name])
    first = open_source(root)
    if first.cache_state() is None:
        pytest.skip("is indexed each time")
    monkeypatch.setattr(FORMATS[name], "index", None)
    again = open_source(root)
    assert (again.records, again.findings) == (first.records, first.findings)
    assert again.declared_labels() == first.declared_labels()
    np.testing.assert_array_equal(again.read_values(again.records[0]), MASK)


@pytest.mark.parametrize("name", [m for m in MASKS if m != "yolo"])  # its files may be empty
@pytest.mark.parametrize("damage", [b"", b"some text", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"])
def test_a_damaged_mask_is_named(make_tree, name: str, damage: bytes) -> None:
    if name == "icdar-text" and not damage:
        pytest.skip("an image without a word has an empty file")
    root = make_tree(EXAMPLES[name])
    source = open_source(root)
    source.records[0].labels[0].write_bytes(damage)
    with pytest.raises(DataError) as refused:
        if source.records[0].labels[0].suffix in (".json", ".xml"):  # read once, when the folder is opened
            source = type(source)(root, source.settings)
        source.read_values(source.records[0])
    assert str(source.records[0].labels[0]) in str(refused.value)


@pytest.mark.parametrize("name", MASKS)
def test_reading_writes_nothing(make_tree, name: str) -> None:
    root = make_tree(EXAMPLES[name])
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    source = open_source(root)
    source.read_values(source.records[0])
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


@pytest.mark.parametrize("name", CLASSES)
def test_gives_the_class_of_each_image(make_tree, name: str, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("limner.formats.index_cache.MIN_FILES", 0)
    monkeypatch.setattr("limner.formats.index_cache.SETTLED_NS", -(10**18))
    root = make_tree(CLASSES[name])
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    source = open_source(root)
    assert source.name == name
    for again in (pickle.loads(pickle.dumps(source)), open_source(root)):  # the second is a kept index
        assert again.records == source.records
        record = again.records[-1]
        assert again.declared_labels().names[again.read_class(record)] == "ñ" + " 1" * (
            name == "class-folders"
        )
        np.testing.assert_array_equal(again.read_image(record).array, PICTURE)
        with pytest.raises(DataError, match="a class for each image"):
            again.read_values(record)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_every_format_has_an_example() -> None:
    assert {*EXAMPLES, *CLASSES} == {*FORMATS}
