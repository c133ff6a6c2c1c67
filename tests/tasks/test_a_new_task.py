"""A new task trains, predicts, evaluates, draws and reports with one file and one row of `TASKS`."""

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest

import limner
from limner.cli.run_page import show_run
from limner.core.errors import ConfigError
from limner.core.run_folder import RunFolder
from limner.core.score_names import SCORES
from limner.networks import NETWORKS
from limner.tasks import TASKS

SETTINGS = {
    "train": {"steps": 40, "batch_size": 4, "validate_every": 20, "save_every": 20, "workers": 0},
    "input": {"crop_size": [48, 48]},
    "optimizer": {"learning_rate": 0.05},
}


@pytest.fixture
def coverage(monkeypatch):
    """The rows that a new task, its network and its score need."""
    spec = importlib.util.spec_from_file_location("coverage_task", Path(__file__).parent / "coverage_task.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(TASKS, "coverage", module.CoverageTask())
    monkeypatch.setitem(NETWORKS, "mean-of-features", module.NETWORK)
    monkeypatch.setitem(SCORES, "coverage_agreement", module.SCORE)
    return module


@pytest.fixture
def squares(tmp_path):
    """Twelve pictures of a white square, which covers from a tenth to most of each."""
    root = tmp_path / "squares"
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for number in range(12):
        mask = np.zeros((48, 48), np.uint8)
        side = 14 + 2 * number
        mask[4 : 4 + side, 4 : 4 + side] = 1
        noise = np.random.default_rng(number).integers(0, 40, (48, 48, 3), dtype=np.uint8)
        cv2.imwrite(
            str(root / "images" / f"{number}.png"), np.where(mask[..., None] == 1, 255 - noise, noise)
        )
        cv2.imwrite(str(root / "masks" / f"{number}.png"), mask)
    (root / "dataset.yaml").write_text("classes: [{name: background, value: 0}, {name: square, value: 1}]\n")
    return root


def test_a_new_task_does_all_that_a_task_does(coverage, squares, tmp_path, capsys):
    run = limner.train(squares, run=tmp_path / "run", task="coverage", settings=SETTINGS, device="cpu")

    scores = (run.evaluation("val") / "scores.json").read_text()
    assert '"coverage_agreement"' in scores and coverage.SCORE.definition in scores
    found = limner.evaluate(run.root, split="val", out=tmp_path / "again", device="cpu")
    assert found.scores.agreement > 0.9  # a guess of one half gives less than 0.8
    assert len(found.pictures) == found.scores.num_images  # drawn

    predicted = limner.predict(run.model, squares / "images" / "3.png", out=tmp_path / "out")
    assert 0 < float(predicted.masks[0].read_text()) < 1

    assert "Coverage agreement" in run.report.read_text()
    assert "val/coverage_agreement" in run.metrics.read_text()
    show_run(RunFolder(run.root))
    assert "coverage agreement" in capsys.readouterr().out


def test_it_is_refused_what_makes_no_sense(coverage, squares, tmp_path):
    with pytest.raises(ConfigError, match="cannot be trained for the task 'coverage'"):
        limner.train(squares, run=tmp_path / "run", task="coverage", network="unet", device="cpu")
