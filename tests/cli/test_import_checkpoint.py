import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from limner.cli import console
from limner.cli.app import app, main
from limner.networks import build_network


@pytest.fixture(autouse=True)
def _fresh_consoles():
    console.console.cache_clear()


def test_what_was_concluded_is_shown_with_its_reason(authors_file, tmp_path):
    path = authors_file("model_final_94dc52.pkl", 133)
    result = CliRunner().invoke(app, ["import", str(path), "--out", str(tmp_path / "model")])
    assert result.exit_code == 0, result.output
    for said in (
        "written by the authors' code (Detectron2)",
        "panoptic (the file's name is in the authors' list of models)",
        "person, bicycle, car, motorcycle, airplane, ...",
        "shorter side 800, longer side at most 1333",
        "CC-BY-NC-4.0 (the authors' licence of all their weights: no commercial use)",
        "limner predict",
    ):
        assert said in result.output
    assert (tmp_path / "model" / "weights.safetensors").is_file()


def test_a_refusal_is_a_message_and_exit_code_2(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("sys.argv", ["limner", "import", str(tmp_path), "--out", str(tmp_path / "model")])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("limner: The folder contains no checkpoint")


def test_what_is_assumed_is_shown_with_the_settings_of_other_readings(tmp_path):
    torch.manual_seed(0)
    torch.save(build_network("unet", num_classes=3, widths=(4, 6)).state_dict(), tmp_path / "a.pth")
    line = ["import", str(tmp_path / "a.pth"), "--network", "unet", "--set", "network.options.widths=[4,6]"]
    result = CliRunner().invoke(app, [*line, "--out", str(tmp_path / "model")])
    assert result.exit_code == 0, result.output
    assert "--set checkpoint.channel_order=bgr" in result.output
    assert "add --image IMAGE" in result.output
    more = ["--set", "checkpoint.channel_order=bgr", "--image", str(tmp_path / "photo.png")]
    cv2.imwrite(str(tmp_path / "photo.png"), np.full((24, 32, 3), 90, np.uint8))
    console.console.cache_clear()
    result = CliRunner().invoke(app, [*line, *more, "--out", str(tmp_path / "other")])
    assert result.exit_code == 0, result.output
    assert "--set checkpoint.channel_order" not in result.output and "BGR (you set it)" in result.output
    assert str(tmp_path / "other_readings.png") in result.output
    assert (tmp_path / "other_readings.png").is_file()
