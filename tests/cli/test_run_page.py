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
    ("foreground", "accuracy", "shown"),
    [(0.6, 0.9, True), (0.9, 0.9, False), (1.0, 1.0, True)],  # equal: no background; a perfect model has both
)
def test_the_foreground_is_scored_where_there_is_one(tmp_path, capsys, foreground, accuracy, shown):
    run = RunFolder(tmp_path / "one")
    run.evaluation("val").mkdir(parents=True)
    scores = {"task": "semantic", "num_images": 3, "classes": [], "mean_dice": 0.5, "mean_iou": 0.4}
    scores |= {"foreground_dice": foreground, "pixel_accuracy": accuracy}
    (run.evaluation("val") / "scores.json").write_text(json.dumps(scores))
    show_run(run)
    written = capsys.readouterr().out
    assert ("foreground Dice" in written) is shown
    assert "pixel accuracy" in written and "0.4000" in written
