"""More than 255 classes from folder to files: 16-bit label maps, objects, and classes of whole images."""

import json

import cv2
import numpy as np
import pytest

import limner
from limner.core.errors import DataError
from limner.core.image_class import ImageClass
from limner.core.label_map import LabelMap
from limner.formats import open_source
from limner.formats.dataset_yaml import write_dataset_file
from limner.images.masks import read_values
from limner.loading.collate import collate
from limner.loading.dataset import Dataset

QUICK = {"train": {"steps": 2, "batch_size": 2, "validate_every": 2, "save_every": 2}}
NUM_MASK_CLASSES, NUM_CATEGORIES, NUM_IMAGE_CLASSES = 300, 1203, 1000
SIDE = 40


def write_picture(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
    cv2.imwrite(str(path), pixels)


@pytest.fixture(scope="module")
def wide_masks(tmp_path_factory):
    """Six images with masks of 16 bits, in which all of 300 classes occur."""
    root = tmp_path_factory.mktemp("wide") / "data"
    (root / "masks").mkdir(parents=True)
    for number in range(6):
        write_picture(root / "images" / f"{number}.png", number)
        blocks = (np.arange(100).reshape(10, 10) + 50 * number) % NUM_MASK_CLASSES
        mask = np.kron(blocks, np.ones((4, 4), int)).astype(np.uint16)
        mask[:2] = 65535
        cv2.imwrite(str(root / "masks" / f"{number}.png"), mask)
    classes = [{"name": f"class {i}", "value": i} for i in range(NUM_MASK_CLASSES)]
    write_dataset_file(root, {"classes": classes, "ignored": [65535], "splits": {"val": 0.34, "test": 0.0}})
    return root


@pytest.mark.slow
def test_300_classes_in_16_bits_from_check_to_predicted_masks(wide_masks, tmp_path, monkeypatch):
    monkeypatch.setattr("limner.drawing.matrix.MOST", 20)  # tests/drawing/test_matrix.py draws all it may
    checked = limner.check(wide_masks)
    assert not checked.errors and checked.labels.num_classes == NUM_MASK_CLASSES
    rows = {row.name: row for row in checked.rows}
    assert rows["class 255"].images == 2 and rows["class 255"].is_class
    assert rows["ignored"].pixels == 6 * 2 * SIDE and rows["ignored"].is_ignored

    settings = {**QUICK, "network": {"options": {"widths": [4, 8]}}, "input": {"crop_size": [32, 32]}}
    run = limner.train(wide_masks, run=tmp_path / "run", network="unet", settings=settings, device="cpu")
    scores = json.loads((run.root / "evaluation" / "val" / "scores.json").read_text("utf-8"))
    assert len(scores["classes"]) == NUM_MASK_CLASSES
    assert np.sum(scores["confusion_matrix"]) == 2 * (SIDE - 2) * SIDE

    limner.predict(run.root, wide_masks / "images", out=tmp_path / "out", device="cpu")
    masks = [read_values(tmp_path / "out" / "masks" / f"{n}.png") for n in range(6)]
    assert all(mask.shape == (SIDE, SIDE) and mask.max() < NUM_MASK_CLASSES for mask in masks)
    assert max(int(mask.max()) for mask in masks) > 255
    again = limner.evaluate(predictions=tmp_path / "out", data=wide_masks, out=tmp_path / "scores")
    assert again.scores.num_images == 6


def test_300_classes_are_converted_and_refused_by_a_palette(wide_masks, tmp_path):
    limner.convert(wide_masks, tmp_path / "copy", to="paired-folders")
    assert np.array_equal(
        read_values(tmp_path / "copy" / "masks" / "3.png"), read_values(wide_masks / "masks" / "3.png")
    )
    assert limner.check(tmp_path / "copy").labels.label_dtype == np.uint16
    with pytest.raises(DataError, match=r"cannot store this number of classes[\s\S]*255 or fewer"):
        limner.convert(wide_masks, tmp_path / "voc", to="voc")
    limner.convert(wide_masks, tmp_path / "panoptic", to="coco-panoptic", lossy=True)
    assert limner.check(tmp_path / "panoptic").labels.num_classes == NUM_MASK_CLASSES


def test_many_unnamed_values_are_asked_about(wide_masks, tmp_path):
    for kind in ("images", "masks"):
        (tmp_path / kind).symlink_to(wide_masks / kind)
    checked = limner.check(tmp_path)
    assert [finding.code for finding in checked.errors] == ["too-many-values"]
    assert "name them all" in checked.errors[0].fix


def test_300_classes_in_a_batch_and_a_drawing(wide_masks, tmp_path):
    source = open_source(wide_masks)
    dataset = Dataset(source, source.records, source.declared_labels())
    batch = collate([dataset[0], dataset[5]])
    labels = batch.get(LabelMap)
    assert labels[0, 0, 0] == 65535 and labels[0, 39, 39] == 99 and labels[1, 4, 0] == 260
    limner.browse(wide_masks, out=tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").is_file()


@pytest.fixture(scope="module")
def many_categories(tmp_path_factory):
    """Six images with four squares each, of 1,203 categories whose ids begin at 1."""
    root = tmp_path_factory.mktemp("lvis") / "data"
    images, annotations = [], []
    for number in range(1, 7):
        write_picture(root / "images" / f"{number}.png", number)
        images.append({"id": number, "file_name": f"{number}.png", "height": SIDE, "width": SIDE})
        for corner, category in enumerate((255, 256, 1203, number)):
            left, top = 2 + 20 * (corner % 2), 2 + 20 * (corner // 2)
            box = [left, top, left + 12, top, left + 12, top + 12, left, top + 12]
            row = {"id": len(annotations) + 1, "image_id": number, "category_id": category, "iscrowd": 0}
            annotations.append(row | {"segmentation": [box], "bbox": [left, top, 12, 12], "area": 144})
    categories = [{"id": i, "name": f"thing {i}"} for i in range(1, NUM_CATEGORIES + 1)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (root / "annotations").mkdir()
    (root / "annotations" / "instances.json").write_text(json.dumps(content), "utf-8")
    return root


QUERIES = {"channels": 8, "num_queries": 6, "heads": 2, "points": 1, "pixel_layers": 1, "decoder_layers": 1}
OF_OBJECTS = {
    "mask2former": {
        "backbone": "resnet18_width16",
        **QUERIES,
        "pixel_feedforward": 8,
        "decoder_feedforward": 8,
    },
    "unet-centres": {"widths": [4, 8]},
}


@pytest.mark.slow
@pytest.mark.parametrize("network", OF_OBJECTS)
def test_1203_categories_from_check_to_coco_json(many_categories, tmp_path, network):
    checked = limner.check(many_categories)
    assert not checked.errors and checked.labels.num_classes == 1 + NUM_CATEGORIES
    named = {row.name: row for row in checked.rows}
    assert named["thing 255"].images == 6 and not any(row.is_ignored for row in checked.rows)

    settings = {
        **QUICK,
        "network": {"options": OF_OBJECTS[network], "pretrained": "no"},
        "input": {"crop_size": [32, 32]},
    }
    run = limner.train(
        many_categories,
        run=tmp_path / "run",
        task="instance",
        network=network,
        settings=settings,
        device="cpu",
    )
    scores = json.loads((run.root / "evaluation" / "val" / "scores.json").read_text("utf-8"))
    assert len(scores["classes"]) == NUM_CATEGORIES
    limner.predict(run.root, many_categories / "images", out=tmp_path / "out", device="cpu")
    written = json.loads((tmp_path / "out" / "instances.json").read_text("utf-8"))
    assert len(written["categories"]) == NUM_CATEGORIES and len(written["images"]) == 6
    assert {row["category_id"] for row in written["annotations"]} <= set(range(1, NUM_CATEGORIES + 1))
    limner.evaluate(predictions=tmp_path / "out", data=many_categories, out=tmp_path / "scores")


@pytest.mark.parametrize("to", ["coco-instances", "labelme", "yolo", "voc-boxes"])
def test_1203_categories_are_converted(many_categories, tmp_path, to):
    limner.convert(many_categories, tmp_path / to, to=to, lossy=True)
    checked = limner.check(tmp_path / to)
    rows = {row.name: row.images for row in checked.rows}
    assert not checked.errors
    assert rows["thing 255"] == rows["thing 256"] == rows["thing 1203"] == 6


@pytest.fixture(scope="module")
def many_image_classes(tmp_path_factory):
    """Some images of 1,000 classes, in a list of file and number as ImageNet's."""
    root = tmp_path_factory.mktemp("imagenet") / "data"
    lines = {"train": [], "val": []}
    for number, label in enumerate((0, 254, 255, 256, 998, 999, 0, 255)):
        write_picture(root / "images" / f"picture-{number}.png", number)
        lines["val" if number > 5 else "train"].append(f"images/picture-{number}.png {label}\n")
    for split, rows in lines.items():
        (root / f"{split}.txt").write_text("".join(rows), "utf-8")
    (root / "classes.txt").write_text("".join(f"kind-{i}\n" for i in range(NUM_IMAGE_CLASSES)), "utf-8")
    return root


def test_a_list_of_1000_classes_is_checked_browsed_split_and_converted(many_image_classes, tmp_path):
    checked = limner.check(many_image_classes)
    rows = {row.name: row for row in checked.rows}
    assert not checked.errors and checked.labels.num_classes == NUM_IMAGE_CLASSES
    assert rows["kind-255"].images == 2 and rows["kind-255"].is_class and "ignored" not in rows

    source = checked.source
    dataset = Dataset(source, source.records, checked.labels, targets=(ImageClass,))
    batch = collate([dataset[i] for i in range(8)])
    assert batch.get(ImageClass).tolist() == [0, 254, 255, 256, 998, 999, 0, 255]

    limner.browse(many_image_classes, out=tmp_path / "sheet.png")
    limner.convert(many_image_classes, tmp_path / "copy", to="class-list")
    again = limner.check(tmp_path / "copy")
    assert {row.name for row in again.rows if row.images} == {r.name for r in checked.rows if r.images}
    limner.split(tmp_path / "copy", stratify=True)


def test_folders_of_1000_classes(tmp_path):
    write_picture(tmp_path / "one.png", 0)
    picture = (tmp_path / "one.png").read_bytes()
    for number in range(NUM_IMAGE_CLASSES):
        folder = tmp_path / "data" / f"kind-{number:03d}"
        folder.mkdir(parents=True)
        for name in ("a", "b"):
            (folder / f"{number}{name}.png").write_bytes(picture)
    source = open_source(tmp_path / "data")
    labels = source.declared_labels()
    assert labels.num_classes == NUM_IMAGE_CLASSES and labels.names[255] == "kind-255"
    dataset = Dataset(source, source.records[508:514], labels, targets=(ImageClass,))
    batch = collate([dataset[i] for i in range(6)])
    assert batch.get(ImageClass).tolist() == [254, 254, 255, 255, 256, 256]
