"""A score that does not apply to the classes is left out, not computed as another one."""

import csv
import json

import numpy as np
import pytest

from limner.core.labels import LabelClass, LabelTable
from limner.core.prediction import SemanticPrediction
from limner.evaluation.semantic_scorer import SemanticScorer
from limner.evaluation.semantic_scores import named_scores
from limner.evaluation.write_scores import PerImageFile, write_scores
from limner.metrics.confusion import pixel_scores


def table(*names):
    return LabelTable(tuple(LabelClass(n, (i,), (i, 0, 0)) for i, n in enumerate(names)))


def scored(labels):
    scorer = SemanticScorer(labels, uncertainty=True)
    truth = np.array([[0, 0, 1, 1]], np.uint8)
    for number in range(6):
        predicted = np.array([[0, 0, 1, number % 2]], np.uint8)
        rows = scorer.update(SemanticPrediction(str(number), predicted), truth)
    return scorer, rows


def test_no_foreground_dice_without_a_background(tmp_path):
    labels = table("road", "grass")
    scorer, image = scored(labels)
    scores = scorer.compute()
    assert scores.foreground_dice is None and image.foreground_dice is None
    written = json.loads(write_scores(tmp_path, scores, split="val").read_text())
    assert "foreground_dice" not in written
    assert "foreground_dice" not in written["intervals"] and "foreground_dice" not in written["per_image"]
    # three of six images have 4 of 4 pixels right, the others 3 of 4
    assert written["pixel_accuracy"] == pytest.approx(21 / 24)
    assert "foreground_dice" not in named_scores(labels, pixel_scores(scores.confusion))
    assert scorer.columns[0] == "mean_iou" and len(scorer.columns) == len(image.numbers)
    assert scorer.rank_title == "mean IoU" and image.rank == image.pixel.mean_iou


def test_the_columns_of_images_without_a_background(tmp_path):
    scorer, image = scored(table("road", "grass"))
    with PerImageFile(tmp_path, scorer.columns) as rows:
        rows.write(image)
        path = rows.path
    (row,) = csv.DictReader(path.open(newline=""))
    assert "foreground_dice" not in row and float(row["mean_iou"]) == 1.0
    assert row["right/road"] == "2"


def test_foreground_dice_with_a_background():
    scorer, image = scored(table("background", "cell"))
    # in all: 9 of 12 pixels of the cell are found, none too many: 18 / 21
    assert scorer.compute().foreground_dice == pytest.approx(18 / 21)
    assert scorer.columns[0] == "foreground_dice" and scorer.rank_title == "foreground Dice"
    assert image.rank == image.foreground_dice == 1.0
