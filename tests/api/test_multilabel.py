"""Images with any number of classes, from the table to the report."""

import csv
import json

import cv2
import numpy as np
import pytest

import limner
from limner.formats import open_source

QUICK = {
    "train": {"steps": 40, "batch_size": 8, "validate_every": 20, "save_every": 20, "workers": 0},
    "input": {"crop_size": 48},
    "network": {"pretrained": "no", "options": {"backbone": "resnet18_width16"}},
    "inference": {"resize": {"shortest": 48, "longest": 96}},
    "augment": {"hue": 0.0, "saturation": 0.1, "crop_area": [0.9, 1.0]},
}


def picture(has_left, has_right, number):
    """The left half is bright where the image has the class left, the right half likewise."""
    image = np.random.default_rng(number).integers(0, 60, (48, 48, 3), dtype=np.uint8)
    image[:, :24] += np.uint8(150 * has_left)
    image[:, 24:, 0] += np.uint8(150 * has_right)
    return image


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("tags") / "halves"
    (root / "images").mkdir(parents=True)
    for split, count in (("train", 16), ("val", 8)):
        rows = [["image", "left", "right"]]
        for number in range(count):
            has = number % 2, number // 2 % 2
            name = f"images/{split}{number}.png"
            cv2.imwrite(str(root / name), picture(*has, number))
            rows.append([name, *has])
        with (root / f"{split}.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    return root


def test_a_table_of_several_classes_is_checked_trained_predicted_and_reported(folder, tmp_path):
    checked = limner.check(folder)
    assert not checked.errors and checked.source.name == "tag-list"
    counts = {row.name: {s: c.images for s, c in row.splits.items()} for row in checked.rows}
    assert counts == {"left": {"train": 8, "val": 4}, "right": {"train": 8, "val": 4}}

    run = limner.train(folder, run=tmp_path / "run", settings=QUICK, device="cpu")
    scores = json.loads((run.evaluation("val") / "scores.json").read_text())
    assert scores["task"] == "multilabel" and scores["macro_average_precision"] > 0.9
    assert "confusion_matrix" not in scores or scores["confusion_matrix"] is None
    page = run.report.read_text()
    assert "macro average precision" in page and "Precision by recall" in page

    found = limner.predict(
        run.model, folder / "images" / "val3.png", out=tmp_path / "out", sort=True, device="cpu"
    )
    (row,) = csv.DictReader(found.csv.open())
    assert set(row["classes"].split("; ")) <= {"left", "right"}
    prediction = limner.load(run.model, device="cpu").predict(folder / "images" / "val3.png")
    assert prediction.probabilities.shape == (2,)
    copies = {path.parent.name for path in (tmp_path / "out" / "sorted").rglob("*.png")}
    assert copies == {("left", "right")[index] for index in prediction.labels}


def test_browse_and_convert(folder, tmp_path):
    assert len(limner.browse(folder, images=3).images) == 3
    assert limner.convert(folder, tmp_path / "out", to="tag-list").num_images == 24
    before, after = open_source(folder), open_source(tmp_path / "out")
    assert sorted(r.tags for r in before.records) == sorted(r.tags for r in after.records)
    assert after.declared_labels().names == ("left", "right")


@pytest.mark.parametrize("cells", [("a;b", "b", "a;b", "a;b"), ("a|b", "", "b|a", "a | b")])
def test_several_classes_in_a_cell(tmp_path, cells):
    rows = ["image,label"]
    for number, cell in enumerate(cells):
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture(0, 0, number))
        rows.append(f"{number}.png,{cell}")
    (tmp_path / "all.csv").write_text("\n".join(rows))
    source = open_source(tmp_path)
    assert source.name == "tag-list"
    assert [record.tags for record in source.records] == [
        tuple(sorted("ab".index(part.strip()) for part in cell.replace("|", ";").split(";") if part))
        for cell in cells
    ]
