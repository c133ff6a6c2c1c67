import csv
import json

import numpy as np

from limner.core.labels import LabelClass, LabelTable
from limner.core.prediction import Prediction
from limner.evaluation.files import PerImageFile, Skipped, scores_dict, write_scores
from limner.evaluation.semantic import SemanticScorer

LABELS = LabelTable(
    tuple(LabelClass(n, (i,), (i, i, i)) for i, n in enumerate(("background", "a,b", "rare")))
)


def row(*values):
    return np.array([values], np.uint8)


def scorer():
    made = SemanticScorer(LABELS)
    made.update(Prediction("x", row(0, 1, 1, 0)), row(0, 1, 0, 255))
    return made


def test_scores_json(tmp_path):
    path = write_scores(tmp_path, scorer().compute(), split="val", skipped=[Skipped("bad", "cut off")])
    found = json.loads(path.read_text("utf-8"), parse_constant=lambda name: 1 / 0)  # NaN is no JSON
    assert found["task"] == "semantic" and found["split"] == "val" and found["num_images"] == 1
    # Truth 0, 1, 0 against 0, 1, 1: class a,b has TP 1 and FP 1.
    assert found["classes"][1] == {
        "name": "a,b",
        "iou": 0.5,
        "dice": 2 / 3,
        "precision": 0.5,
        "recall": 1.0,
        "pixels": 1,
        "predicted_pixels": 2,
        "false_positives": 1,
        "false_negatives": 0,
    }
    assert found["classes"][2]["iou"] is None and found["num_absent_classes"] == 1
    assert found["mean_iou"] == 0.5 and found["foreground_dice"] == 2 / 3
    assert found["confusion_matrix"] == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert found["skipped"] == [{"name": "bad", "reason": "cut off"}]
    assert [p.name for p in tmp_path.iterdir()] == ["scores.json"]


def test_every_score_has_its_definition():
    found = scores_dict(scorer().compute(), split="val")
    numbers = {key for key, value in found.items() if isinstance(value, float)}
    numbers |= {key for key, value in found["classes"][0].items() if isinstance(value, float)}
    assert numbers == {
        "mean_iou",
        "mean_dice",
        "foreground_dice",
        "pixel_accuracy",
        "frequency_weighted_iou",
        "iou",
        "dice",
        "precision",
        "recall",
    }
    assert numbers <= found["definitions"].keys()
    assert all(text.endswith(".") for text in found["definitions"].values())


def test_per_image_csv_is_written_as_images_come(tmp_path):
    made = SemanticScorer(LABELS)
    with PerImageFile(tmp_path, made.columns) as rows:
        rows.write(made.update(Prediction("x, y", row(0, 1, 1, 0)), row(0, 1, 0, 255)))
        rows.write(made.update(Prediction("empty", row(0, 0)), row(0, 0)))
    found = list(csv.DictReader(rows.path.open(encoding="utf-8", newline="")))
    assert list(found[0]) == [
        "name",
        "foreground_dice",
        "mean_iou",
        *("iou/background", "iou/a,b", "iou/rare"),
        *("dice/background", "dice/a,b", "dice/rare"),
    ]
    assert found[0]["name"] == "x, y" and found[0]["iou/a,b"] == "0.500000"
    # In neither truth nor prediction: no score, rather than 0 or 1.
    assert found[0]["iou/rare"] == "" and found[1]["foreground_dice"] == ""
