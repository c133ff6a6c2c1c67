"""A disk that is full or read-only after training: what is missing is said, and nothing is cut short."""

import errno
import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

import limner
from limner.api import train as verb
from limner.cli import app as command_line
from limner.core.errors import MissingPartsOfRunError, TrainingError, WriteError
from limner.core.execution import Execution
from limner.core.run_folder import RunFolder
from limner.storage.output_folder import make_output_folder
from limner.storage.whole_files import GrowingFile
from limner.tracking.trackers import TensorBoardTracker
from limner.weights.bundle import save_model


@pytest.fixture
def disk(tmp_path):
    """A disk of 4 MiB; `fill` leaves a few kilobytes of it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    can_mount = shutil.which("mount") and hasattr(os, "geteuid") and os.geteuid() == 0
    if not can_mount or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder]).returncode:
        pytest.skip("a small disk can only be mounted by root on Linux")

    def fill(left):
        free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
        (folder / "filler").write_bytes(bytes(free - left))

    yield SimpleNamespace(folder=folder, fill=fill)
    subprocess.run(["umount", folder], check=True)


@pytest.fixture
def model(tiny_model, cells, tmp_path):
    save_model(tmp_path / "model", tiny_model(data=cells), origin={})
    return tmp_path / "model"


def content(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("left", [8192, 24576, 49152])
def test_results_on_a_full_disk_are_the_old_ones_or_none(disk, model, cells, left):
    out, again = disk.folder / "scores", disk.folder / "masks"
    limner.evaluate(model, data=cells, out=out, device="cpu")
    before = content(out)
    disk.fill(left)
    with pytest.raises(WriteError, match="no space left on the disk"):
        limner.predict(model, cells / "images", out=again, probabilities=True, device="cpu")
    assert not [path for path in again.rglob("*") if path.name.endswith(".part")]
    for mask in again.glob("masks/*.png"):
        limner.predict(model, cells / "images" / mask.name, out=disk.folder.parent / "whole", device="cpu")
        assert mask.read_bytes() == (disk.folder.parent / "whole" / "masks" / mask.name).read_bytes()
    with pytest.raises(WriteError, match="no space left on the disk"):
        limner.evaluate(model, data=cells, out=disk.folder / "other", device="cpu")
    assert content(out) == before
    (disk.folder / "filler").unlink()
    done = limner.predict(model, cells / "images", out=again, probabilities=True, device="cpu", resume=True)
    assert len(done.masks) == 6


def test_an_export_to_a_full_disk_is_a_write_error_and_leaves_nothing(disk, model):
    disk.fill(8192)
    with pytest.raises(WriteError, match="no space left on the disk"):
        limner.export(model, to="torch", out=disk.folder / "export", size=(32, 32))
    assert [path.name for path in disk.folder.iterdir()] == ["filler"]


def test_a_full_disk_at_the_end_of_a_growing_file_is_the_error(disk):
    disk.fill(4096)
    with pytest.raises(WriteError, match="no space left"), GrowingFile(disk.folder / "table.csv") as file:
        for _ in range(100):
            file.write("a row" * 1000)
    assert [path.name for path in disk.folder.iterdir()] == ["filler"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # TensorBoard's own
def test_event_files_on_a_full_disk_are_a_write_error(disk):
    tracker = TensorBoardTracker(SimpleNamespace(tensorboard=disk.folder / "tb"), "")
    tracker.start(SimpleNamespace(step=0), {"a": 1})
    disk.fill(0)
    with pytest.raises(WriteError, match="no space left"):
        for step in range(5000):
            tracker.log(step, 0.0, {"loss": 1.0})
            tracker.flush()


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A run that has a model, but neither scores nor report; training takes no time."""
    prepared = SimpleNamespace(
        folder=RunFolder(tmp_path),
        plan=SimpleNamespace(input=SimpleNamespace(cascade_mm=None)),
        splits={"val": (), "test": ()},
        network=None,
    )
    monkeypatch.setattr("limner.training.fit_run.fit_run", lambda *_, **__: None)
    monkeypatch.setattr("limner.inference.load_predictor.load_predictor", lambda *_, **__: Mock())
    return prepared


def test_a_trained_run_says_which_part_is_missing(trained, monkeypatch):
    done = []

    def score(prepared, split, predictor, track):
        if split == "val":
            raise WriteError(prepared.folder.root / "scores.json", "no space left on the disk")
        done.append(split)

    monkeypatch.setattr("limner.api.evaluate.score_split", score)
    monkeypatch.setattr("limner.reporting.write_report", done.append)
    with pytest.raises(MissingPartsOfRunError) as caught:
        verb.fit_and_score(trained, Execution("cpu"), resume=False)
    assert done == ["test", trained.folder]
    said = str(caught.value)
    assert "is trained and saved" in said and "evaluation/val is missing (no space left on the disk" in said
    assert f"`limner report {trained.folder.root}` makes them" in said


@pytest.mark.parametrize(
    ("error", "code"),
    [(WriteError("a.png", "no space left on the disk"), 1), (TrainingError("stopped"), 2)],
)
def test_the_exit_code_of_a_part_that_is_missing_is_1(error, code, monkeypatch, capsys):
    def fail():
        raise error

    monkeypatch.setattr(command_line, "app", fail)
    with pytest.raises(SystemExit) as caught:
        command_line.main()
    assert caught.value.code == code
    assert str(error) in capsys.readouterr().err


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_folder_that_the_disk_refuses_is_a_write_error(number, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(WriteError, match=os.strerror(number)):
        make_output_folder(tmp_path / "evaluation")
