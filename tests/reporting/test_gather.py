import json

import pytest

from limner.reporting.gather import gather


def test_scores_arrive_unchanged(run):
    written = json.loads((run.evaluation("val") / "scores.json").read_text())
    file = gather(run).evaluation.file
    assert file.scores["mean_iou"] == written["mean_iou"]
    assert [c.scores["iou"] for c in file.classes] == [c["iou"] for c in written["classes"]]
    assert [list(row) for row in file.confusion_matrix] == written["confusion_matrix"]


def test_nan_and_null_are_missing_not_zero(run):
    path = run.evaluation("val") / "scores.json"
    scores = json.loads(path.read_text())
    scores["classes"][1]["iou"] = None
    scores["mean_iou"] = float("nan")
    path.write_text(json.dumps(scores))
    file = gather(run).evaluation.file
    assert file.classes[1].scores["iou"] is None
    assert file.scores["mean_iou"] is None


def test_a_matrix_of_another_size_is_refused(run):
    path = run.evaluation("val") / "scores.json"
    scores = json.loads(path.read_text())
    scores["confusion_matrix"].append([1, 2])
    path.write_text(json.dumps(scores))
    assert "not 2 by 2" in gather(run).unreadable["evaluation/val/scores.json"]


def test_test_comes_before_validation(run, add_evaluation):
    add_evaluation(run, ("background", "nucleus"), ((10, 1), (1, 10)), 5, split="test")
    add_evaluation(run, ("background", "nucleus"), ((10, 1), (1, 10)), 5, split="other")
    assert [e.split for e in gather(run).evaluations] == ["test", "val", "other"]


def test_images_stand_from_low_to_high_and_unscored_ones_last(run):
    (run.evaluation("val") / "per_image.csv").write_text(
        "name,foreground_dice,mean_iou\nb.png,0.9,0.8\nempty.png,,\na.png,0.2,0.1\nc.png,,0.5\n"
    )
    assert [i.name for i in gather(run).evaluation.images] == ["a.png", "b.png", "c.png", "empty.png"]


def test_a_line_cut_short_by_a_kill_is_passed_over(run):
    run.metrics.write_text("step,seconds,name,value\n10,1.5,train/loss,0.5\n20,3.0,train/loss,0.25\n30,4.")
    (series,) = gather(run).series.values()
    assert series.steps == (10, 20) and series.seconds == (1.5, 3.0) and series.values == (0.5, 0.25)


def test_main_score_follows_the_number_of_classes(run, street_run):
    assert gather(run).evaluation.main[0] == "foreground_dice"
    assert gather(street_run).evaluation.main[0] == "mean_iou"


@pytest.mark.parametrize("name", ["findings", "environment"])
def test_missing_is_not_unreadable(run, name):
    getattr(run, name).unlink()
    assert gather(run).unreadable == {}
