"""No output option of a command ever replaces a file that the command did not write."""

import os

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

import limner
from limner.cli.app import app
from limner.core.errors import ConfigError, DataError
from limner.inference.image_paths import list_images
from limner.weights.bundle import save_model


def run_app(*arguments):
    """Run a command, and return its exit code and the error."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return done.exit_code, str(done.exception)


def content(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def model(tiny_model, cells, tmp_path):
    save_model(tmp_path / "model", tiny_model(data=cells), origin={})
    return tmp_path / "model"


FILE_OUTPUTS = {
    "browse": ("browse", "{data}", "--images", "2", "--out"),
    "check": ("check", "{data}", "--report"),
    "plan": ("plan", "{data}", "--device", "cpu", "--out"),
}


@pytest.mark.parametrize("verb", FILE_OUTPUTS)
@pytest.mark.parametrize("existing", ["images/cell_0.png", "masks/cell_0.png", "dataset.yaml", "images"])
def test_files_of_the_dataset_are_never_replaced(verb, existing, cells):
    arguments = [part.format(data=cells) for part in FILE_OUTPUTS[verb]]
    before = content(cells)
    code, error = run_app(*arguments, cells / existing)
    assert code != 0 and str(cells / existing) in error
    assert content(cells) == before


@pytest.mark.parametrize("verb", FILE_OUTPUTS)
def test_own_files_are_replaced_until_they_are_edited(verb, cells, tmp_path):
    arguments = [part.format(data=cells) for part in FILE_OUTPUTS[verb]]
    out = tmp_path / {"browse": "sheet.png", "check": "page.html", "plan": "plan.yaml"}[verb]
    assert run_app(*arguments, out)[0] == 0
    assert run_app(*arguments, out)[0] == 0
    out.write_bytes(out.read_bytes() + b"\n")
    edited = out.read_bytes()
    code, error = run_app(*arguments, out)
    assert code != 0 and "did not write" in error
    assert out.read_bytes() == edited


def test_predictions_never_replace_masks(model, cells):
    before = content(cells)
    image = cells / "images" / "cell_0.png"
    with pytest.raises(ConfigError, match="would replace another file.*cell_0.png"):
        limner.predict(model, [image], out=cells, device="cpu")
    assert content(cells) == before


def test_predictions_replace_their_own_masks_unless_edited(model, cells, tmp_path):
    out, image = tmp_path / "out", cells / "images" / "cell_0.png"
    for _ in range(2):
        assert len(limner.predict(model, [image], out=out, device="cpu").masks) == 1
    (out / "masks" / "cell_0.png").write_bytes((cells / "masks" / "cell_0.png").read_bytes())
    with pytest.raises(ConfigError, match="changed since"):
        limner.predict(model, [image], out=out, device="cpu")


@pytest.mark.parametrize("inside", [".", "predictions", "images/deep/er"])
def test_an_output_inside_the_input_is_refused(inside, model, cells):
    before = content(cells)
    for named in (cells, f"{cells}/**/*.png"):
        with pytest.raises(DataError, match="inside the folder of the images"):
            limner.predict(model, named, out=cells / inside, device="cpu")
    assert content(cells) == before


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root may write anywhere")
@pytest.mark.parametrize("verb", FILE_OUTPUTS)
def test_read_only_places_are_reported(verb, cells, tmp_path):
    arguments = [part.format(data=cells) for part in FILE_OUTPUTS[verb]]
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    code, error = run_app(*arguments, closed / "out.png")
    assert code != 0 and str(closed) in error


def test_evaluations_and_explanations_replace_nothing(model, cells, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "scores.json").write_text("mine")
    with pytest.raises(ConfigError, match=r"scores\.json"):
        limner.evaluate(model, data=cells, out=out, device="cpu")
    (out / "cell_0_cell_all.png").write_text("mine")
    image = cells / "images" / "cell_0.png"
    with pytest.raises(ConfigError, match="cell_0_cell_all"):
        limner.explain(model, image, class_name="cell", region=(0, 0, 9, 9), out=out, device="cpu")
    assert (out / "scores.json").read_text() == (out / "cell_0_cell_all.png").read_text() == "mine"


def test_label_files_are_not_predicted(cells):
    found = [image.path.relative_to(cells).parts[0] for image in list_images([cells])]
    assert found == ["images"] * 6


def test_masks_of_a_folder_per_image_are_not_predicted(tmp_path):
    picture, mask = np.full((20, 20, 3), 90, np.uint8), np.zeros((20, 20), np.uint8)
    mask[2:6, 2:6] = 255
    for name in "abc":
        for kind in ("images", "masks"):
            (tmp_path / name / kind).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / name / "images" / f"{name}.png"), picture)
        for number, shifted in enumerate((mask, mask.T, np.roll(mask, 9, 1))):
            cv2.imwrite(str(tmp_path / name / "masks" / f"{name}{number}.png"), shifted)
    found = [image.path.name for image in list_images([tmp_path])]
    assert found == ["a.png", "b.png", "c.png"]


def test_an_unlabelled_folder_is_predicted_whole(tmp_path):
    for name in ("masks/a.png", "b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), np.full((20, 20, 3), 90, np.uint8))
    assert len(list_images([tmp_path])) == 2
