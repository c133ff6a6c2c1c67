import json

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from limner.cli import console
from limner.cli.app import app
from limner.core.run_folder import RunFolder
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


def test_a_skipped_image_is_exit_code_1(run, tmp_path):
    (tmp_path / "data" / "masks" / "1.png").write_bytes(b"")
    result = evaluate(run.root)
    assert result.exit_code == 1 and "skipped 1:" in result.output and "val: 1 image " in result.output
