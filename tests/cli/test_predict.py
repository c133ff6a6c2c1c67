import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from limner.cli import console
from limner.cli.app import app
from limner.cli.number_options import parse_resize, parse_scales, parse_window
from limner.core.errors import ConfigError
from limner.core.plan import ResizePlan
from limner.weights.bundle import save_model


@pytest.fixture(autouse=True)
def _fresh_consoles():
    console.console.cache_clear()
    console.messages.cache_clear()


@pytest.fixture
def folder(tiny_model, tmp_path):
    save_model(tmp_path / "model", tiny_model(), origin={})
    (tmp_path / "in").mkdir()
    for name in ("a b.png", "ü.png"):
        image = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
        (tmp_path / "in" / name).write_bytes(cv2.imencode(".png", image)[1].tobytes())
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(app, ["predict", *map(str, arguments), "--device", "cpu"])


def test_every_option(folder):
    result = run(
        *(folder / "model", folder / "in", "--out", folder / "out", "--no-overlay", "--probabilities"),
        *("--window", "64x48", "--overlap", "0.5", "--flips", "--scales", "0.75,1", "--precision", "float32"),
    )
    assert result.exit_code == 0, result.output
    assert "2 of 2 images predicted" in result.output
    assert (folder / "out" / "masks" / "ü.png").is_file()
    assert (folder / "out" / "probabilities" / "a b.npy").is_file()
    assert not (folder / "out" / "overlays").exists()


def test_one_bad_file_is_exit_code_1_after_the_rest(folder):
    (folder / "in" / "[bad].png").write_text("no image")
    result = run(folder / "model", folder / "in", "--out", folder / "out")
    assert result.exit_code == 1
    assert "[bad].png" in result.output and "2 of 3 images predicted" in result.output


@pytest.mark.parametrize(
    ("text", "dims", "size"),
    [("512x768", 2, (512, 768)), ("512", 2, (512, 512)), ("96", 3, (96, 96, 96)), ("8×9X7", 3, (8, 9, 7))],
)
def test_windows(text, dims, size):
    assert parse_window(text, dims) == size
    assert parse_window("", dims) is None


@pytest.mark.parametrize("text", ["12x", "ax3", "1x2x3", "0x4", "-3", "512,512"])
def test_windows_that_are_none(text):
    with pytest.raises(ConfigError, match="--window expects a size such as 512x512"):
        parse_window(text, 2)


def test_scales():
    assert parse_scales("0.75, 1,1.25") == (0.75, 1.0, 1.25)
    assert parse_scales("") is None
    for text in ("0", "1,,2", "x", "nan", "-1"):
        with pytest.raises(ConfigError, match="--scales expects"):
            parse_scales(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("800", {"shortest": 800, "multiple": 32}),
        ("800,1333", {"shortest": 800, "longest": 1333, "multiple": 32}),
        ("384x512", {"size": (384, 512), "multiple": 32}),
        ("no", {}),
    ],
)
def test_resizing_is_read(text, expected):
    now = ResizePlan(shortest=5, multiple=32)
    assert parse_resize(text, now) == ResizePlan(**expected)
    assert parse_resize("", now) is None


@pytest.mark.parametrize("text", ["yes", "800,", "800,300", "0", "3x4x5"])
def test_resizing_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match="--resize expects 800"):
        parse_resize(text, ResizePlan())


def test_images_can_be_resized_first(folder):
    result = run(folder / "model", folder / "in", "--out", folder / "out", "--resize", "48")
    assert result.exit_code == 0, result.output
    mask = cv2.imdecode(np.fromfile(folder / "out" / "masks" / "ü.png", np.uint8), cv2.IMREAD_UNCHANGED)
    assert mask.shape == (70, 90)
