"""Boxes through every verb, on a set of demo size without masks."""

import json

import cv2
import numpy as np
import pytest

import limner
from limner.core.errors import ConfigError, DataError
from limner.formats import open_source

SETTINGS = {
    "train": {"steps": 60, "batch_size": 4, "validate_every": 30, "save_every": 30, "workers": 0},
    "input": {"crop_size": [64, 64]},
    "augment": {"scale": [0.9, 1.1]},
    "network": {
        "pretrained": "no",
        "options": {"backbone": "resnet18_width16", "channels": 24, "head_convs": 1, "extra_levels": 0},
    },
    "optimizer": {"learning_rate": 4e-3},
}


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """Sixteen pictures of bright squares and dark discs on noise; two of them are empty."""
    root = tmp_path_factory.mktemp("shapes")
    (root / "images").mkdir()
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for number in range(1, 17):
        picture = rng.integers(90, 130, (80, 96, 3), dtype=np.uint8)
        for place in range(0 if number in (4, 8) else 3):
            label, side = place % 2 + 1, int(rng.integers(14, 24))
            left, top = int(rng.integers(0, 96 - side)), place * 26 + int(rng.integers(0, 3))
            side = min(side, 80 - top)
            if label == 1:
                cv2.rectangle(picture, (left, top), (left + side - 1, top + side - 1), (250, 240, 240), -1)
            else:
                cv2.circle(picture, (left + side // 2, top + side // 2), side // 2, (20, 10, 10), -1)
            box = {"bbox": [left, top, side, side], "area": side * side, "iscrowd": 0}
            row = {"id": len(annotations) + 1, "image_id": number, "category_id": label, "segmentation": []}
            annotations.append(row | box)
        cv2.imwrite(str(root / "images" / f"{number:02}.png"), picture)
        images.append({"id": number, "file_name": f"{number:02}.png", "height": 80, "width": 96})
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "square"}, {"id": 2, "name": "disc"}],
    }
    (root / "annotations.json").write_text(json.dumps(content))
    return root


@pytest.fixture(scope="module")
def run(shapes, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "run"
    return limner.train(shapes, run=out, task="detection", settings=SETTINGS, device="cpu")


def test_training_learns_and_the_report_shows_it(run):
    scores = json.loads((run.evaluation("val") / "scores.json").read_text())
    assert scores["task"] == "detection"
    assert scores["box_ap50"] > 0.5
    assert [row["name"] for row in scores["classes"]] == ["square", "disc"]
    assert len(scores["object_confusion"]) == 3
    page = run.report.read_text()
    for part in ("Box AP", "FROC", "The column “nothing” has", "Average recall of the boxes"):
        assert part in page, part
    assert "val/box_ap" in run.metrics.read_text()


def test_predictions_in_every_format_are_read_again(run, shapes, tmp_path):
    out = tmp_path / "out"
    found = limner.predict(run.model, shapes / "images", out=out, formats=["voc", "labelme"])
    assert found.json == out / "boxes.json"
    rows = json.loads(found.json.read_text())
    assert rows["annotations"] and {c["name"] for c in rows["categories"]} == {"square", "disc"}
    sure = sum(row["score"] >= 0.5 for row in rows["annotations"])
    lines = [line for path in found.masks for line in path.read_text().splitlines()]
    assert len(lines) == len(rows["annotations"])
    assert all(len(line.split()) == 6 for line in lines)
    assert len(list((out / "overlays").iterdir())) == 16
    for kind, folder, suffix in (("voc-boxes", "voc", "xml"), ("labelme", "labelme", "json")):
        there = tmp_path / kind
        there.mkdir()
        for path in sorted((out / folder).glob(f"*.{suffix}")):
            (there / path.name).write_bytes(path.read_bytes())
            (there / f"{path.stem}.png").write_bytes((shapes / "images" / f"{path.stem}.png").read_bytes())
        source = open_source(there)
        assert sum(len(source.read_boxes(record)) for record in source.records) == sure


def test_predictions_of_a_file_have_the_scores_of_the_model(run, shapes, tmp_path):
    whole = limner.evaluate(run.root, data=shapes, out=tmp_path / "model", device="cpu")
    limner.predict(run.model, shapes / "images", out=tmp_path / "out", device="cpu")
    again = limner.evaluate(predictions=tmp_path / "out", data=shapes, out=tmp_path / "file")
    ours, theirs = dict(whole.scores.items()), dict(again.scores.items())
    assert theirs == pytest.approx(ours, abs=1e-9, nan_ok=True)  # boxes and scores are written in full
    assert again.pictures


def test_windows_find_boxes_too(run, shapes, tmp_path):
    settings = limner.load(run.model).plan.inference.model_copy(update={"window": (64, 64), "overlap": 0.5})
    parts = limner.evaluate(run.root, data=shapes, out=tmp_path / "a", settings=settings, device="cpu")
    # Sixty steps are few; tests/decoding/test_point_boxes.py compares windows with whole images.
    assert dict(parts.scores.items())["f1"] > 0.15


def test_the_evidence_for_boxes_is_drawn(run, shapes, tmp_path):
    predictor = limner.load(run.model, device="cpu")
    image = shapes / "images" / "01.png"
    boxes = predictor.predict(image)
    left, top, right, bottom = boxes.xyxy[0].round().astype(int).tolist()
    name = predictor.labels.names[boxes.labels[0]]
    region = (left, top, right, bottom)
    found = limner.explain(predictor, image, class_name=name, region=region, out=tmp_path / "evidence")
    assert len(found.pictures) == 4 and found.heats["hirescam"].max() == 1


def test_yolo_files_of_any_program_are_scored(run, shapes, tmp_path):
    limner.predict(run.model, shapes, out=tmp_path / "out", device="cpu")
    ours = limner.evaluate(predictions=tmp_path / "out", data=shapes, out=tmp_path / "ours").scores
    (tmp_path / "out" / "labels").rename(tmp_path / "labels")
    theirs = limner.evaluate(predictions=tmp_path / "labels", data=shapes, out=tmp_path / "theirs").scores
    assert theirs.num_images == ours.num_images
    assert theirs.boxes.ap50 == pytest.approx(ours.boxes.ap50, abs=1e-3)  # their coordinates are rounded


def test_browse_draws_the_boxes(shapes, tmp_path):
    assert limner.browse(shapes, out=tmp_path / "sheet.png").path.is_file()


def test_boxes_cannot_train_masks_and_the_message_says_what_they_can(shapes, tmp_path):
    with pytest.raises(ConfigError, match="--task detection"):
        limner.train(shapes, run=tmp_path / "run", task="instance", settings=SETTINGS, device="cpu")


def test_a_format_that_does_not_exist(run, shapes, tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'labelme'"):
        limner.predict(run.model, shapes / "images", out=tmp_path / "out", formats=["labelm"])


def test_data_without_any_box_is_refused(shapes, tmp_path):
    content = json.loads((shapes / "annotations.json").read_text()) | {"annotations": []}
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "images").symlink_to(shapes / "images")
    (tmp_path / "data" / "annotations.json").write_text(json.dumps(content))
    with pytest.raises((ConfigError, DataError)):
        limner.train(tmp_path / "data", run=tmp_path / "run", task="detection", settings=SETTINGS)


def test_boxes_for_a_tool_and_the_images_to_label_next(run, shapes, tmp_path):
    drafts = limner.predict(run.root, shapes / "images", out=tmp_path / "drafts", to="voc", device="cpu")
    source = open_source(drafts.out)
    assert source.tasks == ("detection",)
    counts = [len(source.read_boxes(record)) for record in source.records]
    assert sum(counts) == drafts.fidelity.num_objects > 0
    found = limner.predict(run.root, shapes / "images", out=tmp_path / "out", uncertain=3, device="cpu")
    assert found.label_next.num_chosen == 3
