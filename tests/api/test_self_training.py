"""A run that also learns what its initial weights predict in unlabelled images."""

import json
import shutil

import cv2
import numpy as np
import pytest

from limner.api.train import resume, train
from limner.checks.measuring import digest
from limner.core.errors import ConfigError, DataError
from limner.core.run_folder import RunFolder
from limner.planning.plan_files import read_plan
from limner.preparation.prepared_run import open_run
from limner.training.self_training import _digests

QUICK = {
    "network": {"name": "unet", "options": {"widths": [4, 6]}},
    "input": {"crop_size": [48, 48]},
    "train": {
        "steps": 2,
        "batch_size": 4,
        "validate_every": 2,
        "save_every": 2,
        "workers": 0,
        "trackers": [],
    },
}
AGAIN = {key: value for key, value in QUICK.items() if key != "network"}


@pytest.fixture(scope="module")
def first(module_cells, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "first"
    return train(module_cells, run=folder, settings=QUICK, device="cpu")


@pytest.fixture
def more(cells, tmp_path):
    """Two new images, and a copy of a labelled one."""
    folder = tmp_path / "more"
    folder.mkdir()
    for number in range(2):
        image = np.random.default_rng(90 + number).integers(0, 256, (50, 40, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"new_{number}.png"), image)
    (folder / "copy.png").write_bytes((cells / "images" / "cell_1.png").read_bytes())
    return folder


def test_plan_and_report_say_how_many_pixels_were_learned(first, more, cells, tmp_path) -> None:
    run = train(
        cells,
        run=tmp_path / "runs" / "second",
        weights=first.root,
        unlabelled=more,
        settings=AGAIN,
        device="cpu",
    )
    summary = json.loads((run.pseudo_labels / "summary.json").read_text())
    assert summary["images"] == ["new_0", "new_1"], "the copy is in the dataset already"
    assert summary["pixels"] == 2 * 50 * 40
    taken = predicted = 0
    for name in summary["images"]:
        labels = cv2.imread(str(run.pseudo_labels / "labels" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        assert labels.shape == (50, 40)
        taken += int((labels != 255).sum())
    predicted = sum(one["predicted"] for one in summary["classes"])
    assert taken == sum(one["taken"] for one in summary["classes"])
    assert predicted == summary["pixels"]
    reason = read_plan(run.plan).reasons["train.unlabelled"]
    assert f"{taken:,} of 4,000 pixels" in reason
    assert f"{taken:,} of 4,000 pixels" in run.report.read_text("utf-8")
    assert read_plan(run.plan).train.unlabelled == str(more)


def test_the_run_is_off_unless_asked_and_resumes_with_the_same_labels(first, more, cells, tmp_path) -> None:
    options = {"weights": first.root, "settings": AGAIN, "device": "cpu"}
    without = train(cells, run=tmp_path / "runs" / "without", **options)
    assert not without.pseudo_labels.exists()
    run = train(cells, run=tmp_path / "runs" / "with", unlabelled=more, **options)
    weights = [(one.model / "weights.safetensors").read_bytes() for one in (without, run)]
    assert weights[0] != weights[1]
    before, summary = read_plan(run.plan).reasons["train.unlabelled"], run.pseudo_labels / "summary.json"
    resume(run.root, device="cpu")
    assert read_plan(run.plan).reasons["train.unlabelled"] == before
    whole = summary.read_bytes()
    summary.write_bytes(whole[: len(whole) // 2])
    resume(run.root, device="cpu")
    assert summary.read_bytes() == whole
    cv2.imwrite(str(more / "new_0.png"), np.zeros((50, 40, 3), np.uint8))
    with pytest.raises(DataError, match="unlabelled images have changed since the run began"):
        resume(run.root, device="cpu")


def test_what_cannot_be_learned_of_is_refused_before_the_run(first, more, cells, tmp_path) -> None:
    with pytest.raises(ConfigError, match="(?s)need initial weights.*--weights"):
        train(cells, run=tmp_path / "runs" / "x", unlabelled=more, settings=QUICK, device="cpu")
    assert not (tmp_path / "runs" / "x").exists()
    for path in more.glob("new_*"):
        path.unlink()
    with pytest.raises(DataError, match="Every unlabelled image is in the dataset already"):
        train(
            cells,
            run=tmp_path / "runs" / "y",
            weights=first.root,
            unlabelled=more,
            settings=AGAIN,
            device="cpu",
        )


def test_images_of_the_dataset_are_known_without_decoding_them_again(first, tmp_path) -> None:
    prepared = open_run(first)
    records = [record for members in prepared.splits.values() for record in members]
    expected = {digest(prepared.source.read_image(record).array) for record in records}
    assert len(expected) == 5
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(prepared.source), "read_image", None)
        assert _digests(prepared) == expected
    # A run of an older version has noted none: its images are read.
    older = RunFolder(tmp_path / "older")
    shutil.copytree(first.root, older.root)
    older.data_state.unlink()
    assert _digests(open_run(older)) == expected
