import json
import shutil

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from limner.cli import console
from limner.cli.app import app
from limner.cli.run_page import show_run
from limner.core.errors import ConfigError
from limner.core.network_comparison import ComparedNetwork, Comparison
from limner.core.run_folder import RunFolder
from limner.core.score_names import SCORES, Score, Shown
from limner.evaluation.scores_file import read_scores
from limner.metrics.confusion import PixelScores
from limner.reporting.gather import gather
from limner.reporting.network_comparison_page import render_comparison
from limner.reporting.page import render_page
from limner.weights.bundle import save_model


@pytest.fixture(autouse=True)
def _fresh_consoles():
    console.console.cache_clear()
    console.messages.cache_clear()


@pytest.fixture
def run(tiny_model, tmp_path):
    data = tmp_path / "data"
    for kind in ("images", "masks"):
        (data / kind).mkdir(parents=True)
    for number in range(3):
        image = np.random.default_rng(number).integers(0, 256, (40, 44, 3), dtype=np.uint8)
        cv2.imwrite(str(data / "images" / f"{number}.png"), image)
        cv2.imwrite(str(data / "masks" / f"{number}.png"), (image[..., 0] > 99).astype(np.uint8) * 255)
    folder = RunFolder(tmp_path / "run")
    save_model(folder.model, tiny_model(data=data), origin={})
    folder.splits.write_text(json.dumps({"train": ["0"], "val": ["1", "2"]}), "utf-8")
    return folder


def evaluate(*arguments):
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments), "--device", "cpu"])


def test_the_scores_are_printed_and_written(run):
    result = evaluate(run.root, "--window", "40", "--flips")
    assert result.exit_code == 0, result.output
    scores = json.loads((run.evaluation("val") / "scores.json").read_text("utf-8"))
    for word in ("val: 2 images", "background", f"{scores['classes'][1]['iou']:.4f}", "foreground Dice"):
        assert word in result.output
    assert str(run.evaluation("val")) in result.output


def test_a_new_score_needs_a_row_and_a_value_to_be_everywhere(run, tmp_path, monkeypatch, capsys):
    overall = PixelScores.overall
    row = Score("mean luck", "Luck averaged over the classes.", Shown.HEADLINE)
    monkeypatch.setitem(SCORES, "mean_luck", row)
    monkeypatch.setattr(PixelScores, "overall", lambda *a: overall(*a) | {"mean_luck": a[0].mean_iou / 2})
    printed = evaluate(run.root).output
    value = read_scores(run.evaluation("val") / "scores.json").scores["mean_luck"]
    assert f"{value:.4f}" in next(line for line in printed.splitlines() if line.startswith("mean luck "))
    page = render_page(gather(run))
    assert f'<span class="label">Mean luck</span><b title="{value!r}">{value:.3f}</b>' in page
    assert "Luck averaged over the classes." in page
    show_run(run)
    assert "mean luck" in capsys.readouterr().out
    copied = tmp_path / "copy"
    shutil.copytree(run.root, copied)
    compared = CliRunner().invoke(app, ["compare", str(run.root), str(copied), "-o", str(tmp_path / "out")])
    for text in (compared.output, (tmp_path / "out" / "comparison.html").read_text("utf-8")):
        assert "Mean luck of copy minus that of run: +0.000" in text.replace("\n", " ")
    scores = read_scores(run.evaluation("val") / "scores.json").scores
    networks = (ComparedNetwork("unet", scores=scores),)
    assert "Mean luck" in render_comparison(
        Comparison(tmp_path, "data", "val", 2, (40, 40), "mean_iou", networks)
    )


def test_a_skipped_image_is_exit_code_1(run, tmp_path):
    (tmp_path / "data" / "masks" / "1.png").write_bytes(b"")
    result = evaluate(run.root)
    assert result.exit_code == 1 and "skipped 1:" in result.output and "val: 1 image " in result.output


def test_predictions_refuse_the_options_of_a_model(run, tmp_path):
    data = tmp_path / "data"
    arguments = ["evaluate", "--predictions", str(data / "masks"), "--data", str(data), "--window", "40x40"]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, ConfigError) and "--window: only for a model" in str(result.exception)
