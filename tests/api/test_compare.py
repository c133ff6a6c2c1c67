import csv
import json

import pytest
from typer.testing import CliRunner

import limner
from limner.cli.app import app
from limner.core.errors import ConfigError


@pytest.fixture
def two(run, tmp_path):
    """A run of limner that was evaluated, and a log of mmengine."""
    limner.evaluate(run.root, split="train", device="cpu")
    rows = [("step", "seconds", "name", "value")]
    rows += [(s, 0.5 * s, "train/loss", 1 / s) for s in (1, 2, 3)]
    rows += [(s, 0.5 * s, "train/step_seconds", 0.4 + 0.1 * s) for s in (1, 2, 3)]
    with run.metrics.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    line = {"lr": 0.01, "data_time": 0.1, "loss": 2.0, "time": 0.5, "step": 10}
    (theirs / "scalars.json").write_text(json.dumps(line))
    return run.root, theirs


def test_our_runs_and_those_of_others_stand_side_by_side(two, tmp_path):
    result = limner.compare(two, out=tmp_path / "out")
    assert [f.name for f in result.files] == ["comparison.html", "curves.png", "curves.pdf"]
    assert all(f.is_file() for f in result.files)
    assert result.compared.names == ("one", "theirs")
    assert result.compared.drawn == ("train/loss", "train/learning_rate", "train/step_seconds")
    page = result.files[0].read_text("utf-8")
    assert "700 ms (step 3)" in page and "500 ms (step 1)" in page  # the slowest and the fastest
    assert "have no comparable scores of the same images" in page


def test_a_run_differs_from_itself_by_nothing(two, tmp_path):
    copy = tmp_path / "copy"
    import shutil

    shutil.copytree(two[0], copy)
    difference = limner.compare([two[0], copy], out=tmp_path / "out").compared.differences[0]
    assert difference["foreground_dice"].value == 0 and not difference["foreground_dice"].is_clear
    assert difference["mean_iou"].num_images == 3


def test_what_cannot_be_compared_is_refused(two, tmp_path):
    with pytest.raises(ConfigError, match="two runs or more; found 1"):
        limner.compare(two[:1])
    with pytest.raises(ConfigError, match="named twice"):
        limner.compare([two[0], two[0]])
    with pytest.raises(ConfigError, match=r"'train/los' \(did you mean 'train/loss'\?\)"):
        limner.compare(two, curves=["train/los"])


def test_the_verb(two, tmp_path):
    command = ["compare", *map(str, two), "--out", str(tmp_path / "out"), "--curves", "train/loss"]
    shown = CliRunner().invoke(app, command)
    assert shown.exit_code == 0, shown.output
    assert "Slowest" in shown.output and "comparison.html" in shown.output
