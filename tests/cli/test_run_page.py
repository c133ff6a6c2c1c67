"""The end of `limner train`: scores, and where everything is."""

import json

import pytest

from limner.cli import console
from limner.cli.run_page import show_run
from limner.core.run_folder import RunFolder


@pytest.fixture(autouse=True)
def _fresh_consoles():
    console.console.cache_clear()


@pytest.mark.parametrize(
    ("names", "foreground", "accuracy", "first"),
    [
        (("background", "cell"), 0.6, 0.9, "foreground Dice"),
        (("background", "cell"), 1.0, 1.0, "foreground Dice"),
        (("road", "grass"), 0.9, 0.9, "mean IoU"),  # of an earlier version, which wrote the accuracy twice
    ],
)
def test_the_foreground_is_scored_where_there_is_one(tmp_path, capsys, names, foreground, accuracy, first):
    run = RunFolder(tmp_path / "one")
    run.evaluation("val").mkdir(parents=True)
    scores = {"task": "semantic", "num_images": 3, "mean_dice": 0.5, "mean_iou": 0.4}
    scores |= {"foreground_dice": foreground, "pixel_accuracy": accuracy}
    scores["classes"] = [{"name": name} for name in names]
    (run.evaluation("val") / "scores.json").write_text(json.dumps(scores))
    show_run(run)
    written = capsys.readouterr().out
    assert written.split("images")[1].strip().startswith(first)
    assert ("foreground Dice" in written) is (first == "foreground Dice")
    assert "pixel accuracy" in written and "0.4000" in written
