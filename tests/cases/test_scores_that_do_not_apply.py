"""A score that does not apply to the classes is left out, not computed as another one."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from limner.core.labels import LabelClass, LabelTable
from limner.core.prediction import SemanticPrediction
from limner.evaluation.scores_file import read_scores
from limner.evaluation.semantic_scorer import SemanticScorer
from limner.evaluation.semantic_scores import LabelScores
from limner.evaluation.write_scores import PerImageFile, write_scores
from limner.metrics.confusion import pixel_scores
from limner.reporting.run_comparison import ComparedRuns, render_run_comparison
from limner.reporting.run_facts import RunFacts, ScoredImage, Series
from limner.training.run_state import RunState


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
    assert scores.parts.foreground_dice is None and image.parts.foreground_dice is None
    written = json.loads(write_scores(tmp_path, scores, split="val").read_text())
    assert "foreground_dice" not in written
    assert "foreground_dice" not in written["intervals"] and "foreground_dice" not in written["per_image"]
    # three of six images have 4 of 4 pixels right, the others 3 of 4
    assert written["pixel_accuracy"] == pytest.approx(21 / 24)
    assert "foreground_dice" not in LabelScores(labels, pixel_scores(scores.confusion)).named()
    assert scorer.columns[0] == "mean_iou" and len(scorer.columns) == len(image.numbers)
    assert scorer.rank_title == "mean IoU" and image.rank == image.parts.pixel.mean_iou


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
    assert scorer.compute().parts.foreground_dice == pytest.approx(18 / 21)
    assert scorer.columns[0] == "foreground_dice" and scorer.rank_title == "foreground Dice"
    assert image.rank == image.parts.foreground_dice == 1.0


def test_older_files_have_no_pixel_accuracy_by_another_name(tmp_path):
    scorer, _ = scored(table("road", "grass"))
    path = write_scores(tmp_path, scorer.compute(), split="val")
    values = json.loads(path.read_text())
    values["foreground_dice"] = values["pixel_accuracy"]
    values["intervals"]["foreground_dice"] = [0.8, 0.9]
    values["per_image"]["foreground_dice"] = values["per_image"]["pixel_accuracy"]
    path.write_text(json.dumps(values))
    file = read_scores(path)
    assert "foreground_dice" not in file.scores | file.intervals | file.per_image


def test_the_main_curve_of_each_kind_of_run_is_drawn():
    curve = Series((1.0,), (1.0,), (0.5,))
    objects = RunFacts(Path("a"), series={"val/ap": curve, "val/count_error": curve})
    maps = RunFacts(Path("b"), series={"val/mean_iou": curve, "val/pixel_accuracy": curve})
    compared = ComparedRuns(("a", "b"), (objects, maps), "", ({},))
    assert compared.drawn == ("val/ap", "val/mean_iou")
    # A curve that only one of the runs has says whose it is.
    assert render_run_comparison(compared).count('<ul class="legend">') == 2


def test_an_image_without_the_main_score_has_no_rank():
    assert ScoredImage("a", {"foreground_dice": None, "mean_iou": 1.0}).rank is None


def test_a_run_of_one_class_has_no_score_that_could_select_weights():
    labels = table("cell")
    scores = LabelScores(labels, pixel_scores(np.array([[12]]))).named()
    assert all(math.isnan(value) for value in scores.values())
    state = RunState(step=1)
    assert not state.judge(scores["mean_iou"], patience=3)
