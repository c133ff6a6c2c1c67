import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from limner.cli.app import app
from limner.core.errors import ConfigError


@pytest.fixture
def cells(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "cache"))
    for kind in ("images", "masks"):
        (tmp_path / "data" / kind).mkdir(parents=True)
        for n in range(2):
            assert cv2.imwrite(
                str(tmp_path / "data" / kind / f"{n}.png"), np.eye(40, dtype=np.uint8) * (n + 1)
            )
    return tmp_path / "data"


@pytest.mark.parametrize(
    ("screen", "viewer", "opened", "said"),
    [
        (True, 0, 1, ""),
        (True, 1, 1, "no default program"),
        (False, 0, 0, "no display"),
    ],
)
def test_show_opens_the_picture_where_there_is_a_screen(
    cells, tmp_path, monkeypatch, screen, viewer, opened, said
):
    launched = []
    monkeypatch.setattr("typer.launch", lambda path: launched.append(path) or viewer)
    monkeypatch.setattr("limner.devices.host.has_screen", lambda: screen)
    out = tmp_path / "sheet.png"
    done = CliRunner().invoke(app, ["browse", str(cells), "--out", str(out), "--side", "64", "--show"])
    assert done.exit_code == 0, done.output
    assert launched == [str(out)] * opened
    assert said in done.output
    assert out.is_file()


def test_without_show_no_window_opens(cells, tmp_path, monkeypatch):
    monkeypatch.setattr("typer.launch", lambda path: pytest.fail("a window"))
    assert CliRunner().invoke(app, ["browse", str(cells), "--out", str(tmp_path / "s.png")]).exit_code == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--augment", "--class", "1", "--split", "val"], "--class, --split has no effect with --augment"),
        (["--mode", "final"], "--mode has no effect without --augment"),
        (["--first", "1", "--set", "augment.hue=0"], "--first, --set has no effect without --augment"),
    ],
)
def test_options_without_effect_are_refused(cells, tmp_path, options, said):
    done = CliRunner().invoke(app, ["browse", str(cells), "--out", str(tmp_path / "s.png"), *options])
    assert isinstance(done.exception, ConfigError)
    assert said in str(done.exception)
    assert not (tmp_path / "s.png").exists()
