"""What the page shows is what the files say; expected numbers are worked out by hand."""

import json
import re
from dataclasses import replace

import pytest

from limner.reporting.gather import gather
from limner.reporting.sections.audit import audit
from limner.reporting.sections.class_scores import classes
from limner.reporting.sections.confusion_matrix import confusion
from limner.reporting.sections.examples import examples
from limner.reporting.sections.headline import headline, verdict
from limner.reporting.sections.origin import reproduce
from limner.reporting.sections.plan_settings import settings
from limner.reporting.sections.speed import speed
from limner.reporting.sections.threshold_curves import thresholds
from limner.reporting.sections.training_curves import curves


def words(html):
    text = re.sub(r"<[^>]*>", " ", html).replace("\u00a0", " ").replace("&quot;", '"')
    return " ".join(text.split())


def cells(html):
    rows = re.findall(r"<tr>(.*?)</tr>", html)
    return [[words(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)] for row in rows]


def test_the_verdict_says_the_matrix_in_words(run):
    # truth background: 9000 right, 500 wrong; truth nucleus: 300 missed, 4200 found.
    # Dice 2*4200 / (4500 + 4700) = 0.913; found 4200/4500 = 93 %; right of marked 4200/4700 = 89 %.
    assert verdict(gather(run)).replace("\u00a0", " ") == (
        "On 28 validation images the model reaches a foreground Dice of 0.913. It finds 93 % of the nucleus "
        "pixels, and 89 % of the pixels it marks are correct."
    )


def test_headline_holds_the_scores_of_the_file(run):
    scores = json.loads((run.evaluation("val") / "scores.json").read_text())
    text = headline(gather(run))
    for name in ("foreground_dice", "mean_iou", "mean_dice", "pixel_accuracy"):
        assert f"{scores[name]:.3f}" in words(text)
        assert f'title="{scores[name]!r}"' in text  # in full under the pointer


def test_curves_of_volumes_are_of_voxels(run):
    facts = gather(run)
    slices = facts.plan.input.model_copy(update={"slice_axis": 0})
    volumes = replace(facts, plan=facts.plan.model_copy(update={"input": slices}))
    assert "Pixel accuracy" in words(curves(facts)) and "Voxel accuracy" in words(curves(volumes))


def test_class_table_is_the_file(street_run):
    scores = json.loads((street_run.evaluation("val") / "scores.json").read_text())
    shown = [row[:5] for row in cells(classes(gather(street_run)))][1:-1]
    assert shown == [
        [c["name"], *(f"{c[k]:.3f}" for k in ("iou", "dice", "precision", "recall"))]
        for c in scores["classes"]
    ]


def test_a_class_without_score_is_a_dash_and_explained(make_run):
    run = make_run("r", ("background", "cell", "ghost"), ((90, 10, 0), (5, 45, 0), (0, 0, 0)))
    html = classes(gather(run))
    assert cells(html)[3][1:5] == ["–"] * 4
    assert "neither labelled nor predicted: ghost." in words(html)


def test_many_classes_without_score_are_counted(make_run):
    names = ("background", "cell", *(f"ghost {n}" for n in range(11)))
    matrix = [[0] * 13 for _ in range(13)]
    matrix[0][:2], matrix[1][:2] = (90, 10), (5, 45)
    html = classes(gather(make_run("r", names, matrix)))
    assert [row[0] for row in cells(html)[1:4]] == ["background", "cell", "Mean"]
    assert "11 more classes, neither labelled nor predicted." in words(html)


def test_confusion_rows_are_parts_of_the_truth(run):
    # 9000/9500 = 94.7 %, 500/9500 = 5.3 %, 300/4500 = 6.7 %, 4200/4500 = 93.3 %
    rows = cells(confusion(gather(run)))
    assert rows[1] == ["background", "95 % 9 k", "5.3 % 500"]
    assert rows[2] == ["nucleus", "6.7 % 300", "93 % 4.2 k"]


def test_largest_mistakes_are_ordered_by_pixels(make_run):
    run = make_run("r", ("a", "b", "c"), ((900, 70, 30), (0, 50, 50), (200, 0, 800)))
    items = re.findall(r"<li>(.*?)</li>", confusion(gather(run)))
    assert [words(i) for i in items] == [
        "c predicted as a 20 % of c",
        "a predicted as b 7.0 % of a",
        "b predicted as c 50 % of b",
        "a predicted as c 3.0 % of a",
    ]


def test_forty_classes_are_told_by_their_mistakes_only(make_run, matrix_of):
    run = make_run("r", [f"c{i}" for i in range(40)], matrix_of(40))
    html = confusion(gather(run))
    assert "<table" not in html and "predicted as" in html


def test_examples_show_the_lowest_first_and_the_highest_last(run):
    names = re.findall(r'class="name">([^<]*)<', examples(gather(run)))
    images = [i.name for i in gather(run).evaluation.images]
    assert names == [images[0], images[1], images[-1], images[-2]]


@pytest.mark.parametrize(
    ("image", "picture"),
    [
        ("a.png", "a.png"),
        ("sub/a.jpg", "sub__a.png"),
        ("sub/a.jpg", "sub_a.png"),
        ("a.tif", "worst_01_a.png"),
        ("a.tif", "a.tif.png"),
    ],
)
def test_pictures_are_found_however_they_are_called(run, image, picture):
    folder = run.evaluation("val")
    (folder / "per_image.csv").write_text(
        f"name,foreground_dice,mean_iou\n{image},0.25,0.2\nother.png,0.5,0.5\n"
    )
    source = next((folder / "pictures").iterdir())
    (folder / "pictures" / picture).write_bytes(source.read_bytes())
    assert image in re.findall(r'class="name">([^<]*)<', examples(gather(run)))


def test_labels_say_value_name_and_number(run):
    rows = cells(audit(gather(run)))
    assert rows[1:3] == [["0", "background", "0"], ["255", "nucleus", "1"]]


def test_findings_of_graver_kind_come_first(run):
    found = json.loads(run.findings.read_text())
    run.findings.write_text(json.dumps(found[::-1]))
    text = words(audit(gather(run)))
    assert text.index("near-duplicate-across-splits") < text.index("alpha-channel")
    assert "136 more files" in text  # 142 concerned, 6 named


def test_every_setting_and_reason_of_the_plan_is_there(run):
    plan = gather(run).plan
    text = words(settings(gather(run)))
    assert all(reason in text for reason in plan.reasons.values())
    assert "train.batch_size 8" in text and "input.crop_size 256 × 256" in text
    assert "loss.terms cross_entropy + dice" in text


def test_the_command_can_be_pasted(run):
    run.environment.write_text(json.dumps({"command": ["limner", "train", "my images", "--minutes", "3"]}))
    assert "limner train 'my images' --minutes 3" in reproduce(gather(run)).replace("&#x27;", "'")


def test_the_device_and_its_threads_are_said(run):
    assert "Device AMD EPYC, 2 threads" in words(headline(gather(run)))
    environment = {"device": "cuda", "device_name": "NVIDIA H100", "threads": 2}
    run.environment.write_text(json.dumps(environment))
    assert "Device NVIDIA H100" in words(headline(gather(run)))
    assert "threads 2" in words(reproduce(gather(run)))


def with_scores(run, **more):
    path = run.evaluation("val") / "scores.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | more))
    return gather(run)


def test_intervals_and_the_spread_over_images_are_shown(run):
    spread = {"num_images": 27, "mean": 0.871, "median": 0.912, "percentile_5": 0.613}
    facts = with_scores(
        run,
        intervals={"foreground_dice": [0.883, 0.934], "iou/nucleus": [0.8, 0.87]},
        per_image={"foreground_dice": spread | {"intervals": {"mean": [0.84, 0.9]}}},
    )
    assert "95 %: 0.883 to 0.934" in words(headline(facts))
    table = cells(classes(facts))
    row = next(r for r in table if r[0] == "Foreground Dice")
    assert row[1:] == ["0.913 [0.883, 0.934]", "0.871 [0.840, 0.900]", "0.912", "0.613", "27"]
    assert 'title="95 % interval 0.800 to 0.870"' in classes(facts)


def test_boundary_columns_are_shown_where_they_were_measured(run):
    assert "Boundary" not in classes(gather(run))
    scores = json.loads((run.evaluation("val") / "scores.json").read_text())
    rows = [c | {"boundary_iou": 0.31, "boundary_f1": 0.42} for c in scores["classes"]]
    table = cells(classes(with_scores(run, classes=rows, mean_boundary_iou=0.31, mean_boundary_f1=0.42)))
    assert table[1][5:7] == ["0.310", "0.420"] and table[3][5:7] == ["0.310", "0.420"]


def test_confusion_by_column_and_as_counts(run):
    # Columns: 9000 + 300 predicted background, 500 + 4200 predicted nucleus.
    rows = cells(confusion(gather(run)))
    assert rows[4:6] == [["background", "96.8", "10.6"], ["nucleus", "3.2", "89.4"]]
    assert rows[7:9] == [["background", "9,000", "500"], ["nucleus", "300", "4,200"]]


def test_thresholds_are_drawn_or_the_way_to_them_is_said(run, street_run):
    assert "limner evaluate RUN --thresholds" in words(thresholds(gather(run)))
    assert thresholds(gather(street_run)) is None  # more than two classes
    numbers = {"average_precision": 0.91, "area_under_roc": 0.97, "calibration_error": 0.04}
    numbers |= {"best_threshold": 0.43, "best_dice": 0.92}
    points = [
        {"probability": 0.1, "fraction": 0.05, "pixels": 9},
        {"probability": 0.9, "fraction": 1, "pixels": 5},
    ]
    facts = with_scores(run, thresholds=numbers | {"class_name": "nucleus", "reliability": points})
    html = thresholds(facts)
    assert "average precision 0.910" in words(html) and html.count("<figure") == 1  # no thresholds.csv
    table = "threshold,precision,recall,false_positive_rate,dice\n0,0.3,1,1,0.4\n1,,0,0,0\n"
    (run.evaluation("val") / "thresholds.csv").write_text(table)
    assert thresholds(gather(run)).count("<figure") == 4
    (run.evaluation("val") / "thresholds.csv").write_text(table + "half a row")
    assert "evaluation/val/thresholds.csv" in gather(run).unreadable


def test_speed_and_memory(run):
    (run.evaluation("val") / "speed.json").write_text(
        json.dumps(
            {"median_seconds": 0.0421, "percentile_95_seconds": 0.0832, "images_per_second": 21.5,
             "device": "cpu", "peak_bytes": 1_234_000_000}
        )
    )  # fmt: skip
    text = words(speed(gather(run)))
    assert "median 42.1 ms, 95 % within 83.2 ms, 21.5 images per second, on cpu" in text
    assert "1.23 GB" in text and "Fastest and slowest" in text
    run.metrics.unlink()
    (run.evaluation("val") / "speed.json").unlink()
    assert "No times were logged" in words(speed(gather(run)))
