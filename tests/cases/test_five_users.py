"""Five people's jobs, each from its raw folder to its report, by the commands of the tutorials in docs/.

The folders are small drawings of theirs: the same layout, names and pitfalls; objects that look different.
Two steps of training show that everything fits together; what is learned is tested elsewhere.
"""

import json
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from tutorials import steps
from typer.testing import CliRunner

from limner.cli import console
from limner.cli.app import app
from limner.core.picture import Geometry
from limner.images.masks import read_values
from limner.images.volumes.volume_writing import write_volume

QUICK = (
    "train.steps=2",
    "train.batch_size=2",
    "train.workers=0",
    "train.trackers=[]",
    "train.precision=float32",
    "network.pretrained=no",
)
NARROW = "network.options.backbone=resnet18_width16"


@pytest.fixture
def limner(tmp_path, monkeypatch):
    """Run a command as on a terminal, in a folder of its own; returns what it prints."""
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for one in (console.console, console.messages):
        one.cache_clear()

    def run(*words, ends_with=0):
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code == ends_with, f"{words}\n{done.output}\n{done.exception!r}"
        return done.output

    return run


@pytest.fixture
def follow(limner):
    """Run a tutorial with two steps of training; returns its run, its report, and what commands printed."""

    def read(page, run, *, section="", settings=()):
        quick = [word for setting in (*QUICK, *settings) for word in ("--set", setting)]
        added = dict.fromkeys(("evaluate", "predict"), ["--device", "cpu"])
        added["train"] = [*quick, "--device", "cpu"]
        run, said = Path("runs") / run, {}
        for step in steps(page, section):
            if isinstance(step, str):
                exec(compile(step, f"{page}.md", "exec"), {})  # noqa: S102
                continue
            verb = step.words[0]
            if verb == "report":
                (run / "report.html").unlink()
            printed = limner(*step.words, *added.get(verb, ()), ends_with=step.ends_with)
            said.setdefault(verb, []).append(printed)
        return run, (run / "report.html").read_text("utf-8"), said

    return read


def splits_of(run):
    return {name: len(images) for name, images in json.loads((run / "splits.json").read_text()).items()}


def picture(rng, size, *, grey=120):
    return np.clip(rng.normal(grey, 20, (*size, 3)), 0, 255).astype(np.uint8)


# 1. Polyps: photographs with masks that were saved as grey and as colour JPEG.


def polyps(root):
    rng = np.random.default_rng(0)
    for n in range(12):
        image, mask = picture(rng, (64, 80)), np.zeros((64, 80, 3), np.uint8)
        center, radius = (int(rng.integers(25, 55)), int(rng.integers(20, 44))), int(rng.integers(8, 18))
        cv2.circle(image, center, radius, (210, 90, 80), -1)
        cv2.circle(mask, center, radius, (255, 255, 255), -1)
        for folder, pixels in (("images", image), ("masks", mask[..., 0] if n % 2 else mask)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(root / folder / f"cju{n}.jpg", quality=90)


SMALL_QUERIES = (
    "network.options={backbone: resnet18_width16, channels: 32, pixel_layers: 1, decoder_layers: 1, "
    "num_queries: 5, pixel_feedforward: 16, decoder_feedforward: 16}",
    "input.crop_size=[64,64]",
)


@pytest.mark.slow
def test_polyps_with_mask2former(follow):
    polyps(Path("kvasir"))
    run, page, said = follow("tutorial-polyps", "polyps", settings=SMALL_QUERIES)
    assert "mask-is-jpeg" in said["check"][0] and "--accept" in said["check"][0].splitlines()[-1]
    assert splits_of(run) == {"train": 10, "val": 2}
    assert "foreground" in page and "mask2former" in page
    values = np.unique(read_values(Path("predicted/masks/cju0.png")))
    assert {*values.tolist()} <= {0, 255}


# 2. Street scenes: Cityscapes as it is downloaded.

STREET = {7: (128, 64, 128), 23: (70, 130, 180), 26: (0, 0, 142), 1: (30, 30, 30)}  # road, sky, car, own car


def streets(root):
    rng = np.random.default_rng(0)
    for split, city, count in (("train", "aachen", 4), ("val", "munster", 2), ("test", "berlin", 1)):
        for n in range(count):
            labels = np.full((64, 128), 7, np.uint8)
            labels[: 20 + 2 * n] = 23
            labels[-4:] = 1
            labels[40:52, 10 * n + 8 : 10 * n + 40] = 26
            image = picture(rng, labels.shape, grey=40)
            for value, color in STREET.items():
                image[labels == value] = color
            stem = f"{city}_{n:06}_000019"
            objects = np.where(labels == 26, 26000, labels.astype(np.uint16)).astype(np.uint16)
            if split == "test":  # as published
                labels[:], objects[:] = 0, 0
            files = {"labelIds": labels, "instanceIds": objects}
            for folder in (f"leftImg8bit/{split}/{city}", f"gtFine/{split}/{city}"):
                (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(root / f"leftImg8bit/{split}/{city}/{stem}_leftImg8bit.png")
            for kind, pixels in files.items():
                Image.fromarray(pixels).save(root / f"gtFine/{split}/{city}/{stem}_gtFine_{kind}.png")


@pytest.mark.slow
def test_street_scenes(follow):
    streets(Path("cityscapes"))
    run, page, said = follow("tutorial-streets", "streets", settings=SMALL_QUERIES)
    (checked,) = said["check"]
    assert "cityscapes" in checked and "sky" in checked and "split-unlabelled" in checked
    assert splits_of(run) == {"train": 4, "val": 2}
    assert "road" in page and "car" in page and "ego vehicle" not in page
    predicted = next(Path("predicted/masks").rglob("*.png"))
    assert {*np.unique(read_values(predicted)).tolist()} <= {*range(7, 34)}  # in Cityscapes' own ids


# 3. A course: classes of flowers, polygons of labelme, boxes of COCO.


def flowers(root):
    rng = np.random.default_rng(0)
    colors = {"oxeye daisy": (240, 240, 240), "blue poppy": (90, 120, 240), "sunflower": (240, 220, 60)}
    for split, count in (("train", 4), ("val", 2)):
        for name, color in colors.items():
            (root / split / name).mkdir(parents=True)
            for n in range(count):
                image = picture(rng, (48, 48))
                cv2.circle(image, (24, 24), 12 + n, color, -1)
                Image.fromarray(image).save(root / split / name / f"image_{n:04}.jpg")


@pytest.mark.slow
def test_flowers(follow):
    flowers(Path("flowers"))
    settings = ("input.crop_size=[32,32]", NARROW)
    run, page, said = follow("tutorial-course", "flowers", section="Flowers", settings=settings)
    (checked,) = said["check"]
    assert "oxeye daisy" in checked and "train 12" in checked
    assert checked.splitlines()[-1] == "Next: limner train flowers"
    assert "setting" in said["plan"][0]
    assert splits_of(run) == {"train": 12, "val": 6}
    assert "blue poppy" in page and "top" in page.lower()
    assert Path("predicted/predictions.csv").is_file()
    assert list(Path("explained").glob("*.png"))


def cells(root):
    rng = np.random.default_rng(0)
    root.mkdir()
    for n in range(10):
        image, shapes = picture(rng, (64, 64), grey=220), []
        for kind, color in (("lymphocyte", (200, 90, 110)), ("macrophage", (120, 60, 140))):
            x, y = (int(v) for v in rng.integers(12, 50, 2))
            points = [[x - 8, y - 7], [x + 9, y - 6], [x + 7, y + 8], [x - 6, y + 9]]
            cv2.fillPoly(image, [np.array(points)], color)
            shapes.append({"label": kind, "points": points, "shape_type": "polygon", "flags": {}})
        Image.fromarray(image).save(root / f"cell{n}.png")
        about = {"version": "5.2.1", "flags": {}, "shapes": shapes, "imagePath": f"cell{n}.png"}
        about |= {"imageData": None, "imageHeight": 64, "imageWidth": 64}
        (root / f"cell{n}.json").write_text(json.dumps(about), "utf-8")


@pytest.mark.slow
def test_cells_of_labelme_with_deeplabv3plus(follow):
    cells(Path("cells"))
    settings = ("input.crop_size=[64,64]", NARROW)
    run, page, said = follow("tutorial-course", "cells", section="Cells", settings=settings)
    assert "macrophage" in said["check"][0]
    assert sum(splits_of(run).values()) == 10
    assert "lymphocyte" in page and "macrophage" in page


def boxes(root):
    rng = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 2)):
        (root / split).mkdir(parents=True)
        images, annotations = [], []
        for n in range(count):
            pixels = picture(rng, (64, 96))
            images.append({"id": n, "file_name": f"{n}.jpg", "width": 96, "height": 64})
            for category, color in ((1, (220, 40, 40)), (2, (40, 60, 220))):
                x, y = int(rng.integers(0, 60)), int(rng.integers(0, 36))
                pixels[y : y + 24, x : x + 30] = color
                box = {"id": len(annotations), "image_id": n, "category_id": category, "bbox": [x, y, 30, 24]}
                annotations.append(box | {"area": 720, "iscrowd": 0})
            Image.fromarray(pixels).save(root / split / f"{n}.jpg")
        named = [{"id": 1, "name": "box"}, {"id": 2, "name": "crate"}]
        table = {"images": images, "annotations": annotations, "categories": named}
        (root / f"{split}.json").write_text(json.dumps(table), "utf-8")


@pytest.mark.slow
def test_boxes_of_coco(follow):
    boxes(Path("boxes"))
    settings = ("input.crop_size=[64,64]", NARROW)
    run, page, said = follow("tutorial-course", "boxes", section="Boxes", settings=settings)
    assert said["check"][0].splitlines()[-1] == "Next: limner train boxes"
    assert splits_of(run) == {"train": 6, "val": 2}
    assert "crate" in page and "box AP" in page


# 4. Glomeruli: index masks, lists of an 80/20 split, and a PSPNet of mmsegmentation for Cityscapes.


def glomeruli(root):
    rng = np.random.default_rng(0)
    for folder in ("images", "masks", "splits"):
        (root / folder).mkdir(parents=True)
    names = [f"SAS_{21880 + n // 2}_001_{n}" for n in range(10)]
    for name in names:
        image, mask = picture(rng, (64, 64), grey=210), np.zeros((64, 64), np.uint8)
        center = tuple(int(v) for v in rng.integers(18, 46, 2))
        cv2.circle(image, center, 12, (170, 90, 150), -1)
        cv2.circle(mask, center, 12, 1, -1)
        Image.fromarray(image).save(root / "images" / f"{name}.png")
        Image.fromarray(mask).save(root / "masks" / f"{name}.png")
    (root / "splits" / "train.txt").write_text("".join(f"{n}\n" for n in names[:8]), "utf-8")
    (root / "splits" / "val.txt").write_text("".join(f"{n}\n" for n in names[8:]), "utf-8")


def pspnet_of_cityscapes(path):
    """Write a narrow PSPNet with a ResNet-18 as mmsegmentation 0.x did, by its own names of the tensors."""
    torch.manual_seed(0)
    state = {}

    def norm(name, width):
        state[f"{name}.weight"], state[f"{name}.bias"] = torch.ones(width), torch.zeros(width)
        state[f"{name}.running_mean"], state[f"{name}.running_var"] = torch.zeros(width), torch.ones(width)
        state[f"{name}.num_batches_tracked"] = torch.tensor(1)

    def convolution(name, norm_name, wide, narrow, side):
        state[f"{name}.weight"] = torch.randn(wide, narrow, side, side) * (2 / (narrow * side**2)) ** 0.5
        norm(norm_name, wide)

    backbone, width, head = "backbone", 64, 16
    for place, wide, narrow in ((0, 32, 3), (3, 32, 32), (6, 64, 32)):
        convolution(f"{backbone}.stem.{place}", f"{backbone}.stem.{place + 1}", wide, narrow, 3)
    for stage, wide in enumerate((64, 128, 256, 512), start=1):
        for block in range(2):
            name = f"{backbone}.layer{stage}.{block}"
            convolution(f"{name}.conv1", f"{name}.bn1", wide, width, 3)
            convolution(f"{name}.conv2", f"{name}.bn2", wide, wide, 3)
            if width != wide:
                convolution(f"{name}.downsample.0", f"{name}.downsample.1", wide, width, 1)
            width = wide
    join = partial("{}.{}".format, "decode_head")
    for bin_number in range(4):
        name = join(f"psp_modules.{bin_number}.1")
        convolution(f"{name}.conv", f"{name}.bn", head, 512, 1)
    convolution(join("bottleneck.conv"), join("bottleneck.bn"), head, 512 + 4 * head, 3)
    convolution("auxiliary_head.convs.0.conv", "auxiliary_head.convs.0.bn", head, 256, 3)
    for name in ("decode_head", "auxiliary_head"):
        state[f"{name}.conv_seg.weight"] = torch.randn(19, head, 1, 1) * 0.1
        state[f"{name}.conv_seg.bias"] = torch.zeros(19)
    meta = {"mmseg_version": "0.5.0", "CLASSES": [f"class of the street {n}" for n in range(19)]}
    torch.save({"meta": meta, "state_dict": state, "optimizer": {}}, path)


@pytest.mark.slow
def test_glomeruli_with_a_pspnet_of_cityscapes(follow):
    glomeruli(Path("Glomeruli-dataset"))
    pspnet_of_cityscapes(Path("pspnet_r18-d8_cityscapes.pth"))
    run, page, said = follow("tutorial-glomeruli", "glomeruli", settings=("input.crop_size=[64,64]",))
    (checked,) = said["check"]
    assert "train 8" in checked and "val 2" in checked
    assert splits_of(run) == {"train": 8, "val": 2}
    assert "pspnet" in page and "foreground" in page and "class of the street" not in page
    started = json.loads((run / "started_from.json").read_text("utf-8"))
    assert "pspnet_r18-d8_cityscapes.pth" in json.dumps(started)
    values = {v for path in Path("predicted/masks").iterdir() for v in np.unique(read_values(path)).tolist()}
    assert values <= {0, 1}
    assert (run / "evaluation/val/confusion.pdf").is_file() and (run / "evaluation/val/speed.json").is_file()
    assert len([*Path("predicted/comparisons").iterdir()]) == 10
    assert Path("glomeruli.png").is_file() and list(Path("explained").glob("*.png"))


# 5. Spine: volumes with twenty classes, in the names of the challenge.


def spines(root):
    rng = np.random.default_rng(0)
    affine = np.diag([0.6, 0.6, 4.4, 1.0])[:, [2, 1, 0, 3]]
    place = Geometry((4.4, 0.6, 0.6), affine)
    for n in range(1, 9):
        labels = np.zeros((6, 80, 40), np.uint8)
        for value in range(1, 20):
            labels[1:5, 4 * value - 2 : 4 * value + 2, 8 + n : 28 + n] = value
        image = np.where(labels == 0, 40, 80 + 8 * labels.astype(np.int16)) + rng.integers(
            -5, 6, labels.shape
        )
        split = "train" if n <= 6 else "test"
        write_volume(root / split / "MR" / f"Case{n}.nii.gz", image.astype(np.int16)[..., None], place)
        write_volume(root / split / "Mask" / f"mask_case{n}.nii.gz", labels[..., None], place)


@pytest.mark.slow
def test_spine_volumes_in_slices(follow):
    spines(Path("spine"))
    settings = ("network.options={widths: [4, 8]}", "input.crop_size=[64,32]")
    run, page, said = follow("tutorial-spine", "spine", settings=settings)
    assert "test 2" in said["check"][0] and "class 19" in said["check"][0]
    sizes = splits_of(run)
    assert sizes["test"] == 2 and sizes["train"] + sizes["val"] == 6
    assert "HD95" in page and "class 19" in page and "voxel" in page
    assert len(list(Path("predicted/masks").glob("*.nii.gz"))) == 2
