import csv
import json
from pathlib import Path

import numpy as np
import pytest
from schemas import without_repetition

from limner.core.labels import LabelClass, LabelTable
from limner.core.prediction import SemanticPrediction
from limner.evaluation.scores_file import ScoresFile, scores_schema
from limner.evaluation.semantic_scorer import SemanticScorer
from limner.evaluation.write_scores import PerImageFile, Skipped, scores_dict, write_scores

LABELS = LabelTable(
    tuple(LabelClass(n, (i,), (i, i, i)) for i, n in enumerate(("background", "a,b", "rare")))
)

TWO = LabelTable(tuple(LabelClass(n, (i,), (i, i, i)) for i, n in enumerate(("background", "cell"))))


def row(*values):
    return np.array([values], np.uint8)


def scorer():
    made = SemanticScorer(LABELS)
    made.update(SemanticPrediction("x", row(0, 1, 1, 0)), row(0, 1, 0, 255))
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
        "boundary_iou": None,
        "boundary_f1": None,
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


def detailed(num_images):
    made = SemanticScorer(TWO, boundaries=True, thresholds=True, uncertainty=True)
    draw = np.random.default_rng(0)
    for number in range(num_images):
        truth = np.kron(draw.integers(0, 2, (4, 5)), np.ones((6, 6))).astype(np.uint8)
        sure = np.clip(draw.normal(0.3 + 0.4 * truth, 0.2), 0, 1).astype(np.float32)
        prediction = SemanticPrediction(
            str(number), (sure >= 0.5).astype(np.uint8), np.stack([1 - sure, sure])
        )
        made.update(prediction, truth)
    return made.compute()


def test_every_score_has_its_definition():
    found = scores_dict(detailed(6), split="val")
    numbers = {key for key, value in found.items() if isinstance(value, float)}
    numbers |= {key for key, value in found["classes"][0].items() if isinstance(value, float)}
    numbers |= {key for key, value in found["thresholds"].items() if isinstance(value, float)}
    assert numbers == {
        *(
            "mean_iou",
            "mean_dice",
            "mean_recall",
            "foreground_dice",
            "pixel_accuracy",
            "frequency_weighted_iou",
        ),
        *("iou", "dice", "precision", "recall"),
        *("mean_boundary_iou", "mean_boundary_f1", "boundary_iou", "boundary_f1"),
        *("average_precision", "area_under_roc", "calibration_error", "best_threshold", "best_dice"),
    }
    assert numbers | {"intervals", "per_image"} <= found["definitions"].keys()
    assert all(text.endswith(".") for text in found["definitions"].values())


def test_intervals_and_spread_stand_beside_the_scores_from_five_images_on():
    found = scores_dict(detailed(6), split="val")
    low, high = found["intervals"]["foreground_dice"]
    assert low < found["foreground_dice"] < high
    low, high = found["intervals"]["boundary_iou/cell"]
    assert low < found["classes"][1]["boundary_iou"] < high
    spread = found["per_image"]["foreground_dice"]
    assert spread["num_images"] == 6 and spread["percentile_5"] <= spread["median"]
    assert spread["intervals"]["mean"][0] < spread["mean"] < spread["intervals"]["mean"][1]
    assert found["per_image"]["iou/cell"]["intervals"] == {} and "recall/cell" not in found["per_image"]
    few = scores_dict(detailed(4), split="val")
    assert few["intervals"] == {} and few["per_image"]["mean_iou"]["intervals"] == {}


def test_the_curves_of_every_threshold_are_a_table_beside(tmp_path):
    scores = detailed(2)
    write_scores(tmp_path, scores, split="val")
    rows = list(csv.DictReader((tmp_path / "thresholds.csv").open(encoding="utf-8", newline="")))
    assert len(rows) == 1001 and rows[500]["threshold"] == "0.500000"
    assert float(rows[500]["dice"]) == pytest.approx(scores.parts.pixel.dice[1], abs=1e-6)
    write_scores(tmp_path, scorer().compute(), split="val")  # without thresholds: no stale table stays
    assert [p.name for p in tmp_path.iterdir()] == ["scores.json"]


def test_the_schema_in_the_docs_is_the_schema():
    current = Path(__file__).parents[2] / "docs" / "scores.schema.json"
    assert json.loads(current.read_text("utf-8")) == without_repetition(scores_schema())
    ScoresFile.model_validate(json.loads(json.dumps(scores_dict(detailed(5), split="val"))))


def test_per_image_csv_is_written_as_images_come(tmp_path):
    made = SemanticScorer(LABELS)
    with PerImageFile(tmp_path, made.columns) as rows:
        rows.write(made.update(SemanticPrediction("x, y", row(0, 1, 1, 0)), row(0, 1, 0, 255)))
        rows.write(made.update(SemanticPrediction("empty", row(0, 0)), row(0, 0)))
    found = list(csv.DictReader(rows.path.open(encoding="utf-8", newline="")))
    assert list(found[0]) == [
        "name",
        "foreground_dice",
        "mean_iou",
        *("iou/background", "iou/a,b", "iou/rare"),
        *("dice/background", "dice/a,b", "dice/rare"),
        *("right/background", "right/a,b", "right/rare"),
        *("false_positives/background", "false_positives/a,b", "false_positives/rare"),
        *("false_negatives/background", "false_negatives/a,b", "false_negatives/rare"),
    ]
    assert found[0]["name"] == "x, y" and found[0]["iou/a,b"] == "0.500000"
    # Truth 0, 1, 0 against 0, 1, 1.
    pixels = ("right", "false_positives", "false_negatives")
    assert [found[0][f"{kind}/a,b"] for kind in pixels] == ["1", "1", "0"]
    # In neither truth nor prediction: no score, rather than 0 or 1.
    assert found[0]["iou/rare"] == "" and found[1]["foreground_dice"] == ""
