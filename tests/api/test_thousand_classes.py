"""A list of more classes than a byte holds is checked, trained, predicted and reported."""

import csv

import cv2
import numpy as np
from typer.testing import CliRunner

import limner
from limner.cli.app import app

NUM_CLASSES = 1100


def test_a_list_of_1100_classes(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("limner.drawing.matrix.MOST", 20)  # tests/drawing/test_matrix.py draws all it may
    root = tmp_path / "many"
    (root / "images").mkdir(parents=True)
    names = [f"kind {number:04}" for number in range(NUM_CLASSES)]
    lines = []
    for number in range(20):
        color = np.random.default_rng(number).integers(0, 256, 3)
        image = np.full((16, 16, 3), color, np.uint8)
        image[: number % 15 + 1] //= 2
        cv2.imwrite(str(root / "images" / f"{number}.png"), image)
        lines.append(f"images/{number}.png {number * 57}\n")
    (root / "train.txt").write_text("".join(lines[:14]))
    (root / "val.txt").write_text("".join(lines[14:]))
    (root / "classes.txt").write_text("\n".join(names))

    checked = limner.check(root)
    assert not checked.errors and checked.labels.num_classes == NUM_CLASSES
    settings = {
        "train": {"steps": 2, "batch_size": 4, "validate_every": 2, "save_every": 2, "workers": 0},
        "network": {"pretrained": "no", "options": {"backbone": "resnet18_width16"}},
        "inference": {"resize": {"shortest": 48, "longest": 96}},
    }
    run = limner.train(root, run=tmp_path / "run", settings=settings, device="cpu")
    page = run.report.read_text()
    assert "too large to read here" in page and "Largest errors, by images" in page
    found = limner.predict(run.model, root / "images" / "3.png", out=tmp_path / "out", device="cpu")
    (row,) = csv.DictReader(found.csv.open())
    assert row["class"] in names
    shown = CliRunner().invoke(app, ["evaluate", str(run.root), "--split", "train", "--device", "cpu"])
    assert shown.exit_code == 0 and "top-5 accuracy" in shown.output
