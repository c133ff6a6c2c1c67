"""Runs that are no runs, half written, moved or out of room: nothing that was saved is lost."""

import errno
import os
import shutil

import pytest
from safetensors import SafetensorError
from safetensors.torch import save_file

from limner.training.checkpoints import read_run_checkpoint


@pytest.fixture
def resume(limner):
    """`limner train --resume WORDS`."""
    return lambda *words: limner("train", "--resume", *words, "--device", "cpu")


def move_data(run, place):
    """Write into a run's plan that its data is elsewhere."""
    lines = (run / "plan.yaml").read_text("utf-8").splitlines()
    lines = [f"  path: {place}" if line.startswith("  path: ") else line for line in lines]
    (run / "plan.yaml").write_text("\n".join(lines), "utf-8")


def test_a_folder_that_is_no_run(resume, finished):
    for other in ("runs/none", "data", "data/dataset.yaml", "runs/one/model"):
        resume(other).refuses(f"This is not a run folder: {other}", "plan.yaml and splits.json", "fix: Pass")


def test_a_finished_run_stays_as_it_is(resume, finished):
    before = (finished / "model" / "weights.safetensors").read_bytes()
    answer = resume("runs/one")
    assert answer.code == 0, answer
    assert (finished / "model" / "weights.safetensors").read_bytes() == before


def test_a_run_whose_data_moved(resume, limner, finished, tmp_path):
    move_data(finished, tmp_path / "gone")
    resume("runs/one").refuses(
        f"The data of this run no longer exists: {tmp_path / 'gone'}",
        "write its new path into runs/one/plan",
    )
    move_data(finished, tmp_path / "data")
    assert resume("runs/one").code == 0
    (tmp_path / "data/images/cell_03.png").unlink()
    resume("runs/one").refuses("no longer in its data", "1 missing, such as cell_03", "fix: Restore the data")


def test_an_image_that_broke_since(resume, finished, tmp_path):
    move_data(finished, tmp_path / "data")
    shutil.rmtree(finished / "checkpoints")
    for path in (tmp_path / "data/images").iterdir():
        path.write_bytes(b"rubbish")
    resume("runs/one").refuses("The data of this run has changed", "12 images (cell_", "with other content")
    resume("runs/one", "--data-changed").refuses("This is not an image", "data/images/cell_", "'rubbish'")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("learning_rate: 0.001", "learning_rate: 0.5", "optimizer.learning_rate was 0.001 and is 0.5"),
        ("steps: 4", "stesp: 4", "train.stesp: unknown key (did you mean 'steps'?)"),
        ("batch_size: 8", "batch_size: -8", "train.batch_size: should be greater than 0; found -8"),
        ("version: 1", "version: [1", "runs/one/plan.yaml, line"),
        ("name: unet", "name: unett", "(did you mean 'unet'?)"),
        ("values: [0]", "values: [255]", "Each mask value may be in the label table"),
        ("values: [0]", "valeus: [0]", "valeus: unknown key"),
        ("spatial_dims: 2", "spatial_dims: 4", "input.spatial_dims: should be 2 or 3; found 4"),
    ],
)
def test_a_plan_that_was_edited_badly(resume, finished, old, new, said):
    text = (finished / "plan.yaml").read_text("utf-8")
    assert old in text
    (finished / "plan.yaml").write_text(text.replace(old, new, 1), "utf-8")
    resume("runs/one").refuses(said)


@pytest.mark.parametrize("text", ["{", "[1]", '{"train": 5}', '{"train": [1]}', "", '{"val": ["cell_00"]}'])
def test_a_damaged_list_of_images(resume, limner, finished, text):
    (finished / "splits.json").write_text(text, "utf-8")
    resume("runs/one").refuses("runs/one/splits.json")
    if "val" not in text:
        limner("evaluate", "runs/one", "--device", "cpu").refuses(
            "runs/one/splits.json", "expected: JSON", "fix:"
        )


def test_damaged_checkpoints(resume, finished):
    names = ("last", "previous", "best")
    last, *others = (finished / "checkpoints" / f"{name}.safetensors" for name in names)
    last.write_bytes(last.read_bytes()[:100])
    answer = resume("runs/one")
    assert answer.code == 0
    answer.says(
        "The checkpoint cannot be read: runs/one/checkpoints/last", "continues from previous.safetensors"
    )
    last.write_bytes(b"x")
    for other in others:
        other.write_bytes(b"y")
    resume("runs/one").refuses(
        "checkpoints/last.safetensors", "checkpoints/best.safetensors", "fix: Delete runs/one/checkpoints"
    )


def test_a_run_folder_that_is_taken(limner, finished, tiny, tmp_path):
    before = (finished / "plan.yaml").read_bytes()
    answer = limner("train", "data", "--run", "one", *tiny)
    answer.refuses("already in use: runs/one", "found: a run", "limner train --resume runs/one")
    assert (finished / "plan.yaml").read_bytes() == before
    (tmp_path / "letter").write_text("mine", "utf-8")
    for name in ("letter", "letter/below"):
        answer = limner("train", "data", "--run", tmp_path / name, *tiny)
        answer.refuses("already in use", "a file", "fix: Choose another --run.")
    answer = limner("train", "data", "--run", tmp_path / "data", *tiny)
    answer.refuses("already in use", "found: a folder that is not empty", "fix: Choose another --run.")


def test_a_report_on_a_half_written_run(limner, finished):
    metrics = finished / "metrics.csv"
    metrics.write_text(metrics.read_text("utf-8")[:-7], "utf-8")
    (finished / "findings.json").write_text("[{", "utf-8")
    (finished / "evaluation/val/scores.json").write_text('{"classes": [{}]}', "utf-8")
    (finished / "environment.json").write_bytes(b"\xff")
    shutil.rmtree(finished / "model")
    assert limner("report", "runs/one").code == 0
    page = (finished / "report.html").read_text("utf-8")
    for name in ("findings.json", "evaluation/val/scores.json", "environment.json"):
        assert name in page
    limner("report", "runs").refuses(
        "This is not a run folder: runs", "fix: Name one of the runs inside it: one"
    )
    limner("report", "runs/none").refuses("There is no run folder: runs/none", "expected: the folder that")


def test_scoring_with_other_classes(limner, finished, tmp_path):
    evaluate = ("evaluate", "runs/one", "--data", "data", "--device", "cpu")
    (tmp_path / "data/dataset.yaml").write_text(
        "classes:\n- {name: background, value: 0}\n- {name: nucleus, value: 255}\n", "utf-8"
    )
    limner(*evaluate).refuses(
        "classes that the model was not trained on: data", "nucleus", "the model's: background, cell", "fix:"
    )
    (tmp_path / "data/dataset.yaml").write_text(
        "classes:\n- {name: background, value: 0}\n- {name: cell, value: 1}\n", "utf-8"
    )
    limner(*evaluate).refuses(
        "values other than those named in dataset.yaml: data",
        "255 covers",
        "1 cell",
        "limner check data --accept",
    )
    limner("evaluate", "runs/one", "--split", "tset").refuses("There is no split 'tset'", "train, val")
    shutil.copytree(finished / "model", tmp_path / "alone")
    limner("evaluate", "alone").refuses("its run folder", "--data")


def test_scoring_where_some_masks_broke(limner, finished, tmp_path):
    (tmp_path / "data/masks/cell_01.png").write_bytes(b"")
    answer = limner("evaluate", "runs/one", "--data", "data", "--device", "cpu")
    assert answer.code == 1
    answer.says("data: 11 images", "skipped cell_01", "data/masks/cell_01.png", "an empty file (0 bytes)")


def full_disk(tensors, path, metadata):
    """Write half of a checkpoint, then fail as safetensors does."""
    save_file(tensors, path, metadata)
    os.truncate(path, os.path.getsize(path) // 2)  # noqa: PTH202 - safetensors gives a string
    raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


def system_says_full(descriptor):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("place", "failing"),
    [("limner.training.checkpoints.save_file", full_disk), ("limner.storage.whole_files.os.fsync", None)],
)
def test_a_full_disk_leaves_the_checkpoint_before_intact(
    limner, resume, cells, tiny, monkeypatch, place, failing
):
    each = (*tiny, "--set", "train.save_every=1")
    saved = cells.parent / "runs/one/checkpoints/last.safetensors"
    real = save_file if failing else os.fsync

    def failing_later(*arguments):
        if saved.exists() and read_run_checkpoint(saved).state.step == 2:
            (failing or system_says_full)(*arguments)
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(place, failing_later)
        answer = limner("train", "data", "--run", "one", *each)
    answer.refuses("a file could not be written: runs/one/", "no space left on the disk", "--resume runs/one")
    assert read_run_checkpoint(saved).state.step == 2
    assert [path.name for path in saved.parent.iterdir() if path.name.endswith(".part")] == []
    answer = resume("runs/one")
    assert answer.code == 0, answer
    assert read_run_checkpoint(saved).state.step == 4
