"""Each remark is made exactly when its rule holds, with the numbers of the case."""

from dataclasses import replace

import pytest

from limner.core.finding import Finding, Severity
from limner.evaluation.scores_file import ClassRow, ScoresFile
from limner.reporting.gather import gather
from limner.reporting.observations import baseline, observe
from limner.reporting.run_facts import Evaluation, RunFacts, ScoredImage, Series


def class_scores(name, iou, pixels):
    return ClassRow(name=name, iou=iou, pixels=pixels, predicted_pixels=pixels)


def evaluated(*classes, split="test", num_images=50, images=()):
    file = ScoresFile(
        task="semantic", split=split, num_images=num_images, classes=list(classes), mean_iou=0.8
    )
    return Evaluation(split, file, images)


GOOD = evaluated(class_scores("background", 0.95, 900), class_scores("cell", 0.85, 100))


def series(*values, scale=1.0):
    steps = tuple(float(100 * (i + 1)) for i in range(len(values)))
    return Series(steps, steps, tuple(v * scale for v in values))


def texts(tmp_path, **parts):
    return [o.text for o in observe(RunFacts(tmp_path, **{"evaluations": (GOOD,)} | parts))]


def test_baseline_by_hand():
    # 900 of 1000 pixels are background: accuracy 0.9; IoU 900/1000 and 0, mean 0.45.
    assert baseline(GOOD) == ("background", pytest.approx(0.9), pytest.approx(0.45))


def test_an_unremarkable_run_gets_only_the_comparison(tmp_path):
    (only,) = texts(tmp_path)
    assert "always predicting “background”" in only and "0.900" in only and "0.450" in only


def test_weak_classes(tmp_path):
    weak = evaluated(
        class_scores("road", 0.9, 950), class_scores("pole", 0.2, 40), class_scores("sign", 0.4, 10)
    )
    (found,) = [t for t in texts(tmp_path, evaluations=(weak,)) if "weakest" in t]
    assert "“pole” with an IoU of 0.200 (4.0\u00a0% of the pixels); 2 classes are below 0.5" in found


@pytest.mark.parametrize(("processes", "is_short"), [(1, True), (2, False)])
def test_training_too_short_to_see_every_image(make_run, processes, is_short):
    # 10 steps of 8 crops are 80 of 114 images; of two processes, 160.
    facts = gather(make_run())
    ten = {"train/loss": Series((10.0,), (3.0,), (0.5,))}
    facts = replace(facts, series=ten, environment={"processes": processes})
    found = [o.text for o in observe(facts) if "were used" in o.text]
    assert bool(found) is is_short
    if is_short:
        assert found[0].startswith("Training ended after 10 steps: at most 80 of 114 training images")


def test_few_images(tmp_path):
    few = evaluated(*GOOD.file.classes, num_images=3)
    assert any("are based on only 3 images" in t for t in texts(tmp_path, evaluations=(few,)))


def test_images_that_score_low(tmp_path):
    images = tuple(
        ScoredImage(str(i), {"foreground_dice": v, "mean_iou": v})
        for i, v in enumerate((0.2, 0.49, 0.5, 0.9))
    )
    low = evaluated(*GOOD.file.classes, images=images)
    assert any("2 of 4 images score below 0.5" in t for t in texts(tmp_path, evaluations=(low,)))
    all_low = evaluated(*GOOD.file.classes, images=images[:2])
    assert any(t.startswith("All 2 images score below") for t in texts(tmp_path, evaluations=(all_low,)))
    one_low = evaluated(*GOOD.file.classes, images=images[:1])
    assert any("The one image scores below 0.5" in t for t in texts(tmp_path, evaluations=(one_low,)))


def test_a_score_that_fell(tmp_path):
    curve = {"val/foreground_dice": series(0.5, 0.8, 0.9, 0.85)}
    (found,) = [t for t in texts(tmp_path, series=curve) if "highest at step" in t]
    assert "step 300 (0.900) and 0.850 at the end" in found


def test_a_score_that_still_rose(tmp_path):
    curve = {"val/foreground_dice": series(0.5, 0.6, 0.7, 0.8)}
    assert any("was still rising" in t and "from 0.700 to 0.800" in t for t in texts(tmp_path, series=curve))


def test_a_score_that_settled_is_not_remarked(tmp_path):
    curve = {"val/foreground_dice": series(0.5, 0.8, 0.9, 0.9, 0.905, 0.903, 0.904, 0.905)}
    assert len(texts(tmp_path, series=curve)) == 1


def test_slow_loading(tmp_path):
    step = series(1, 1, 1, 1)
    slow = {"train/step_seconds": step, "train/data_seconds": series(1, 1, 1, 1, scale=0.3)}
    fast = {"train/step_seconds": step, "train/data_seconds": series(1, 1, 1, 1, scale=0.1)}
    assert any("spent 30\u00a0% of its time waiting for data" in t for t in texts(tmp_path, series=slow))
    assert not any("waiting for data" in t for t in texts(tmp_path, series=fast))


def test_findings_but_not_notes(tmp_path):
    def finding(severity):
        return Finding("some-code", severity, "x", "y")

    grave = (finding(Severity.ERROR), finding(Severity.WARNING), finding(Severity.WARNING))
    assert any("1 error and 2 warnings" in t for t in texts(tmp_path, findings=grave))
    assert len(texts(tmp_path, findings=(finding(Severity.NOTE),))) == 1


def test_validation_images_helped_to_choose(tmp_path):
    val = evaluated(*GOOD.file.classes, split="val")
    assert any("test split shows by how much" in t for t in texts(tmp_path, evaluations=(val,)))


def test_warnings_come_first(tmp_path):
    facts = RunFacts(tmp_path, evaluations=(GOOD,), unreadable={"plan.yaml": "broken"})
    assert [o.tone for o in observe(facts)] == ["warning", "note"]
