from dataclasses import replace
from pathlib import Path

import pytest

from limner.reporting.run_facts import ClassScores, Evaluation, RunFacts, Thresholds
from limner.reporting.sections.score_definitions import definitions

WRITTEN = {"mean_iou": "One.", "boundary_f1": "Two.", "mean_boundary_f1": "Three.", "best_dice": "Four."}


@pytest.fixture
def evaluation():
    row = ClassScores("cell", 0.5, 0.6, 0.7, 0.8, 10, 10)
    return Evaluation("val", 3, (row,), {"mean_iou": 0.5}, None, WRITTEN)


def shown(evaluation):
    text = definitions(RunFacts(Path("run"), evaluations=(evaluation,)))
    return [word for word in ("One.", "Two.", "Three.", "Four.") if word in text]


def test_what_nobody_measured_is_not_explained(evaluation):
    assert shown(evaluation) == ["One."]
    outlined = replace(evaluation.classes[0], boundary_iou=0.5, boundary_f1=0.5)
    assert shown(replace(evaluation, classes=(outlined,))) == ["One.", "Two.", "Three."]
    curves = Thresholds("cell", {}, (), {})
    assert shown(replace(evaluation, thresholds=curves)) == ["One.", "Four."]


def test_label_maps_have_definitions_of_their_own_where_none_were_written(evaluation):
    assert "Intersection over union" in definitions(RunFacts(Path("run")))
    of_objects = replace(evaluation.classes[0], own={"ap": 0.5})
    text = definitions(RunFacts(Path("run"), evaluations=(replace(evaluation, classes=(of_objects,)),)))
    assert "Intersection over union" not in text and "Two." in text
