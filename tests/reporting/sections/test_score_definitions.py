from pathlib import Path

from limner.evaluation.scores_file import ScoresFile
from limner.reporting.run_facts import Evaluation, RunFacts
from limner.reporting.sections.score_definitions import definitions

WRITTEN = {"mean_iou": "One.", "boundary_f1": "Two.", "mean_boundary_f1": "Three.", "best_dice": "Four."}
ROW = {"name": "cell", "iou": 0.5, "pixels": 10, "boundary_f1": None}


def evaluated(row, **scores):
    values = {"task": "semantic", "split": "val", "num_images": 3, "classes": [row], "mean_iou": 0.5}
    return Evaluation("val", ScoresFile.model_validate(values | {"definitions": WRITTEN} | scores))


def shown(evaluation):
    text = definitions(RunFacts(Path("run"), evaluations=(evaluation,)))
    return [word for word in ("One.", "Two.", "Three.", "Four.") if word in text]


def test_what_nobody_measured_is_not_explained():
    assert shown(evaluated(ROW, mean_boundary_f1=None)) == ["One."]
    outlined = ROW | {"boundary_f1": 0.5}
    assert shown(evaluated(outlined, mean_boundary_f1=0.5)) == ["One.", "Two.", "Three."]
    curves = {"class_name": "cell", "best_dice": 0.5, "reliability": []}
    assert shown(evaluated(ROW, thresholds=curves)) == ["One.", "Four."]


def test_label_maps_have_definitions_of_their_own_where_none_were_written():
    assert "Intersection over union" in definitions(RunFacts(Path("run")))
    assert "Intersection over union" in definitions(
        RunFacts(Path("run"), evaluations=(evaluated(ROW, definitions={}),))
    )
    of_objects = {"name": "cell", "ap": 0.5, "boundary_f1": 0.5}
    text = definitions(RunFacts(Path("run"), evaluations=(evaluated(of_objects, task="instance"),)))
    assert "Intersection over union" not in text and "Two." in text


def test_errors_are_told_from_scores():
    text = definitions(RunFacts(Path("run"), evaluations=(evaluated(ROW, count_error=1.5),)))
    assert "with a correct count, objects can still be wrong. 0 is best." in text
    assert text.count("0 is best.") == 1
