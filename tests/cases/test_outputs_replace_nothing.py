"""No output option of a command ever replaces a file that the command did not write."""

import os
import shutil
from pathlib import Path
from typing import get_args, get_type_hints

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


INPUTS = {
    *("data", "source", "runs", "model", "image", "paths", "checkpoint", "predictions", "compare"),
    *("weights", "teacher", "resume", "classes", "images", "token_file"),
    *("label_studio_token_file", "models", "unlabelled", "calibrate"),
}
"""Parameters that name what a command reads; all others that take a path are outputs."""

NAMES = {"train": {"run"}}
"""Outputs that may be a name instead of a path."""

COMMANDS = {
    "browse": ("{data}", "--images", "2", "--out", "{out}"),
    "check": ("{data}", "--report", "{out}"),
    "compare": ("{logs}/a.csv", "{logs}/b.csv", "--out", "{out}"),
    "compare-networks": ("{data}", "--networks", "unet", "--out", "{out}"),
    "convert": ("{data}", "{out}", "--to", "paired-folders"),
    "demo": ("--folder", "{out}", "--minutes", "0.05"),
    "evaluate": ("{model}", "--data", "{data}", "--device", "cpu", "--out", "{out}"),
    "explain": (
        "{model}",
        "{data}/images/cell_0.png",
        "--class",
        "cell",
        "--device",
        "cpu",
        "--out",
        "{out}",
    ),
    "export": ("{model}", "--to", "torch", "--out", "{out}"),
    "import": ("{model}", "--out", "{out}"),
    "plan": ("{data}", "--device", "cpu", "--out", "{out}"),
    "predict": ("{model}", "{data}/images", "--device", "cpu", "--out", "{out}"),
    "split": ("{data}", "--out", "{out}"),
    "train": ("{data}", "--run", "{out}", "--device", "cpu"),
    "tune": ("{data}", "--out", "{out}", "--device", "cpu"),
}
"""Each command with an output, and how it is called."""


def outputs():
    """(command, parameter) of every output, read from the command line itself."""
    for command in app.registered_commands:
        name = command.name or command.callback.__name__.replace("_", "-")
        for parameter, kind in get_type_hints(command.callback).items():
            takes_path = Path in (kind, *get_args(kind)) or parameter in NAMES.get(name, ())
            if takes_path and not (parameter in INPUTS or (name, parameter) == ("evaluate", "run")):
                yield name, parameter


def test_every_output_is_tried():
    found = dict(outputs())
    assert len(found) == len(list(outputs()))  # each has one
    assert found.pop("report") == "run"  # it writes into the run that it reads
    assert found.pop("serve") == "keep"  # it writes when corrections come: tests/serving/test_corrections.py
    assert found.keys() == COMMANDS.keys()


@pytest.fixture
def call(model, cells, tmp_path, monkeypatch):
    """Run a command with an output, and return its exit code and the error."""
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text("epoch,step,train_loss\n0,1,0.5\n1,2,0.4\n")

    def run(command, out):
        places = {"data": cells, "model": model, "logs": tmp_path, "out": out}
        return run_app(command, *(part.format(**places) for part in COMMANDS[command]))

    return run


@pytest.mark.parametrize("existing", ["images/cell_0.png", "masks/cell_0.png", "dataset.yaml", "images", "."])
@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_of_a_dataset_is_replaced(command, existing, call, cells):
    if command in ("demo", "split") and (cells / existing).is_dir():
        pytest.skip("adds only files of its own names")
    before = content(cells)
    code, error = call(command, cells / existing)
    assert code != 0 and str(cells) in error
    assert content(cells) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_a_foreign_file_is_never_replaced(command, call, tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("mine")
    code, error = call(command, mine)
    assert code != 0 and str(mine) in error
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("command", COMMANDS)
def test_places_that_cannot_be_written_are_reported(command, call, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    if os.access(closed, os.W_OK):  # root may write anywhere, except there
        closed = Path("/proc")
    code, error = call(command, closed / "out.png")
    assert code != 0 and str(closed) in error


FILE_OUTPUTS = {"browse": "sheet.png", "check": "page.html", "plan": "plan.yaml"}


@pytest.mark.parametrize("command", FILE_OUTPUTS)
def test_own_files_are_replaced_until_they_are_edited(command, call, tmp_path, monkeypatch):
    out = tmp_path / FILE_OUTPUTS[command]
    assert call(command, out)[0] == 0
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "new"))  # nothing is known but what is in the file
    out = out.rename(tmp_path / f"moved-{out.name}")
    assert call(command, out)[0] == 0
    out.write_bytes(out.read_bytes() + b"\n")
    edited = out.read_bytes()
    code, error = call(command, out)
    assert code != 0 and "did not write" in error
    assert out.read_bytes() == edited


def test_predictions_never_replace_masks(model, cells, tmp_path):
    image, drawn = cells / "images" / "cell_0.png", tmp_path / "drawn"
    shutil.copytree(cells / "masks", drawn / "masks")
    before = content(tmp_path)
    with pytest.raises(ConfigError, match="would replace another file.*cell_0.png"):
        limner.predict(model, [image], out=drawn, device="cpu")
    with pytest.raises(DataError, match="inside the folder of the images"):
        limner.predict(model, [image], out=cells, device="cpu")
    assert content(tmp_path) == before


def test_predictions_replace_their_own_masks_unless_edited(model, cells, tmp_path, monkeypatch):
    out, image = tmp_path / "out", cells / "images" / "cell_0.png"
    for cache in ("one", "two"):
        monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / cache))
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
