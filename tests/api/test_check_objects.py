"""Objects and boxes in check, stats and browse, as a user meets them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import limner
from limner.cli.app import app


@pytest.fixture
def boxes(tmp_path: Path) -> Path:
    """Five images with two cells each, and one with a spot; one cell is boxed twice."""
    root = tmp_path / "boxes"
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for n in range(5):
        Image.fromarray(rng.integers(0, 256, (40, 80, 3), dtype=np.uint8)).save(root / "images" / f"{n}.png")
        lines = ["0 0.25 0.5 0.25 0.5", "0 0.75 0.5 0.25 0.25"]
        lines += ["1 0.5 0.5 0.125 0.25", "0 0.75 0.5 0.25 0.25"] if n == 0 else []
        (root / "labels" / f"{n}.txt").write_text("\n".join(lines))
    (root / "data.yaml").write_text("names: [cell, spot]")
    return root


def test_check_counts_boxes_and_says_what_they_are_good_for(boxes) -> None:
    result = limner.check(boxes)
    assert not result.errors
    rows = {row.name: row for row in result.objects}
    assert sum(rows["cell"].counts.values()) == 11
    assert sum(rows["spot"].counts.values()) == 1
    # 20 x 20 and 20 x 10 pixels; the spot has 10 x 10.
    assert (rows["cell"].smallest, rows["cell"].largest, rows["spot"].median) == (200, 400, 100)
    found = {f.code: f for f in result.findings}
    assert {"boxes-only", "annotation-repeated"} <= found.keys()
    assert found["annotation-repeated"].where == "labels/0.txt, line 4"
    assert found["annotation-repeated"].files == ("images/0.png",)
    assert result.to_dict()["objects"][0]["name"] == "cell"


def test_a_finding_of_one_image_names_it(boxes) -> None:
    shown = CliRunner().invoke(app, ["check", str(boxes)]).output
    finding = shown[shown.index("annotation-repeated") :].split("\n\n")[0]
    assert "images/0.png" in finding


def test_browse_by_class_shows_objects_and_not_what_lies_around(boxes) -> None:
    # Five images hold cells, one of them a spot.
    assert len(limner.browse(boxes, by="class", side=32).images) == 5 + 1
    around = limner.browse(boxes, by="class", classes=["background"], side=32)
    assert len(around.images) == 5


def test_what_was_read_is_remembered(boxes) -> None:
    first, second = limner.check(boxes), limner.check(boxes)
    assert first.objects == second.objects
    assert [f.code for f in first.findings] == [f.code for f in second.findings]


def test_the_page_speaks_of_boxes(boxes) -> None:
    done = CliRunner().invoke(app, ["check", str(boxes)])
    assert done.exit_code == 0, done.output
    assert "5, 5 with boxes" in done.output
    assert "Number of boxes" in done.output
    assert "--task detection" in done.output
    shown = CliRunner().invoke(app, ["stats", str(boxes)])
    assert "pixels per object" in shown.output


def test_boxes_are_trained_by_a_detector(boxes) -> None:
    plan = limner.plan(boxes, minutes=1, device="cpu")
    assert plan.task == "detection" and plan.network.name == "fcos"


def test_browse_draws_boxes_and_finds_the_worst(boxes) -> None:
    sheet = limner.browse(boxes, by="worst", side=200)
    assert sheet.images[0] == "images/0"
    plain = limner.browse(boxes, classes=["spot"], side=200)
    assert plain.images == ("images/0",)
    colors = {tuple(pixel) for pixel in plain.picture.reshape(-1, 3)[::1].tolist()}
    assert {c.color for c in limner.check(boxes).labels.classes[1:]} <= colors
