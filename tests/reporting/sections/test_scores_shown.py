"""What the page shows is what the files say; expected numbers are worked out by hand."""

import json
import re

import pytest

from limner.reporting.gather import gather
from limner.reporting.sections.audit import audit
from limner.reporting.sections.classes import classes
from limner.reporting.sections.confusion import confusion
from limner.reporting.sections.examples import examples
from limner.reporting.sections.headline import headline, verdict
from limner.reporting.sections.origin import reproduce
from limner.reporting.sections.settings import settings


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
        "pixels, and 89 % of the pixels it marks are right."
    )


def test_headline_holds_the_scores_of_the_file(run):
    scores = json.loads((run.evaluation("val") / "scores.json").read_text())
    text = headline(gather(run))
    for name in ("foreground_dice", "mean_iou", "mean_dice", "pixel_accuracy"):
        assert f"{scores[name]:.3f}" in words(text)
        assert f'title="{scores[name]!r}"' in text  # in full under the pointer


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
    assert "predicted in none: ghost." in words(html)


def test_confusion_rows_are_parts_of_the_truth(run):
    # 9000/9500 = 94.7 %, 500/9500 = 5.3 %, 300/4500 = 6.7 %, 4200/4500 = 93.3 %
    rows = cells(confusion(gather(run)))
    assert rows[1] == ["background", "95 % 9 k", "5.3 % 500"]
    assert rows[2] == ["nucleus", "6.7 % 300", "93 % 4.2 k"]


def test_largest_mistakes_are_ordered_by_pixels(make_run):
    run = make_run("r", ("a", "b", "c"), ((900, 70, 30), (0, 50, 50), (200, 0, 800)))
    items = re.findall(r"<li>(.*?)</li>", confusion(gather(run)))
    assert [words(i) for i in items] == [
        "c taken for a 20 % of c",
        "a taken for b 7.0 % of a",
        "b taken for c 50 % of b",
        "a taken for c 3.0 % of a",
    ]


def test_forty_classes_are_told_by_their_mistakes_only(make_run, matrix_of):
    run = make_run("r", [f"c{i}" for i in range(40)], matrix_of(40))
    html = confusion(gather(run))
    assert "<table" not in html and "taken for" in html


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
