"""Cross-validation: a run for each fold, scores of every image by an unseen model, the mean of all."""

import csv
import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

import limner
from limner.api.train import resume
from limner.core.errors import ConfigError, DataError, ModelError
from limner.core.run_folder import RunFolder
from limner.core.watchers import Watcher

QUICK = {
    "network": {"name": "unet", "options": {"widths": [4, 6]}},
    "input": {"crop_size": [48, 48]},
    "train": {
        "steps": 2,
        "batch_size": 2,
        "validate_every": 2,
        "save_every": 1,
        "workers": 0,
        "trackers": [],
    },
}
NAMES = [f"cell_{n}" for n in range(5)]


@pytest.fixture(scope="module")
def trained(module_cells, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "cv"
    return limner.cross_validate(module_cells, folds=2, run=folder, settings=QUICK, device="cpu")


def rows_of(path):
    with path.open(newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def test_each_image_is_scored_by_the_model_that_has_not_seen_it(trained):
    splits = [json.loads(trained.fold(i).splits.read_text()) for i in range(2)]
    assert sorted(splits[0]["val"] + splits[1]["val"]) == NAMES
    for fold in splits:
        assert not set(fold["train"]) & set(fold["val"]) and sorted(fold["train"] + fold["val"]) == NAMES
    together = rows_of(trained.evaluation("val") / "per_image.csv")
    of_folds = [rows_of(trained.fold(i).evaluation("val") / "per_image.csv") for i in range(2)]
    assert together == of_folds[0] | of_folds[1] and sorted(together) == NAMES
    assert json.loads((trained.evaluation("val") / "scores.json").read_text())["num_images"] == 5


def test_the_report_has_the_folds_with_mean_and_deviation(trained):
    page = trained.report.read_text("utf-8")
    assert 'href="fold-1/report.html"' in page and "standard deviation" in page
    assert "2 folds" in page and "5 images in 2 folds" in page
    values = [
        json.loads((trained.fold(i).evaluation("val") / "scores.json").read_text())["foreground_dice"]
        for i in range(2)
    ]
    assert f"{np.mean(values):.3f}" in page and f"{np.std(values, ddof=1):.3f}" in page


def test_prediction_is_the_mean_of_the_models(trained, module_cells, tmp_path):
    image = module_cells / "images" / "cell_5.png"
    result = limner.predict(trained.root, [image], out=tmp_path / "all", probabilities=True, device="cpu")
    members = [limner.load(trained.fold(i).root, device="cpu") for i in range(2)]
    each = [member.predict(image, probabilities=True).probabilities for member in members]
    mean = np.mean(each, axis=0)
    written = np.load(tmp_path / "all" / "probabilities" / "cell_5.npy")
    np.testing.assert_allclose(written, mean, atol=1e-3)
    assert (cv2.imread(str(result.masks[0]), 0) == mean.argmax(0) * 255).all()
    pair = [trained.fold(i).root for i in range(2)]
    listed = limner.predict(pair, [image], out=tmp_path / "pair", device="cpu")
    assert (cv2.imread(str(listed.masks[0]), 0) == cv2.imread(str(result.masks[0]), 0)).all()


def test_a_finished_cross_validation_stays_as_it_is(trained, module_cells):
    before = {p: p.read_bytes() for p in trained.root.glob("fold-*/model/weights.safetensors")}
    assert len(before) == 2
    assert (
        limner.cross_validate(module_cells, folds=2, run=trained.root, settings=QUICK, device="cpu")
        == trained
    )
    assert resume(trained.root, device="cpu") == trained
    assert before == {path: path.read_bytes() for path in before}


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"folds": 3}, "--folds: 2, now 3"), ({"seed": 1}, "the seed"), ({"minutes": 1.0}, "the settings")],
)
def test_another_request_is_refused(trained, module_cells, changes, named):
    asked = {"folds": 2, "run": trained.root, "settings": QUICK, "device": "cpu"} | changes
    with pytest.raises(ConfigError, match=named):
        limner.cross_validate(module_cells, **asked)


def test_loaded_it_predicts_the_mean_of_its_models(trained, module_cells):
    image = module_cells / "images" / "cell_5.png"
    loaded = limner.load(trained.root, device="cpu")
    each = [limner.load(trained.fold(i).root, device="cpu") for i in range(2)]
    expected = np.mean([one.predict(image, probabilities=True).probabilities for one in each], axis=0)
    found = loaded.predict(image, probabilities=True)
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-3)
    assert (found.semantic == found.probabilities.argmax(0)).all()
    with pytest.raises(ConfigError, match="for one model only; found 2"):
        limner.load(trained.root, network=each[0].model.network)
    with pytest.raises(ConfigError, match=r"predictor\.members\[0\]"):
        limner.explain(loaded, image, class_name="cell")


def test_where_one_model_is_needed_a_fold_has_to_be_named(trained, module_cells, tmp_path):
    named = r"(?s)2 runs.*Name one of the runs: .*fold-1 to fold-2"
    with pytest.raises(ModelError, match=named):
        limner.export(trained.root, out=tmp_path / "model.onnx")
    with pytest.raises(ModelError, match=named):
        limner.measure(trained.root, size=(64, 64))
    with pytest.raises(ModelError, match=named):
        limner.explain(trained.root, module_cells / "images" / "cell_5.png", class_name="cell")
    with pytest.raises(ModelError, match=named):
        limner.train(module_cells, run=tmp_path / "run", weights=trained.root, settings=QUICK)


def test_an_unfinished_one_does_not_predict(trained, module_cells, tmp_path):
    folder = RunFolder(tmp_path / "half")
    folder.root.mkdir()
    folder.folds.write_bytes(trained.folds.read_bytes())
    with pytest.raises(ModelError, match="0 of 2 folds"):
        limner.predict(folder.root, [module_cells / "images"], out=tmp_path / "out")


KILLED = """
import os, signal, sys
import limner
from limner.core.watchers import Watcher

class KillInSecondFold(Watcher):
    runs = 0
    def start(self, moment, settings):
        self.runs += 1
    def step(self, moment):
        if self.runs == 2 and moment.step == 2:
            os.kill(os.getpid(), signal.SIGKILL)

limner.cross_validate(sys.argv[1], folds=2, run=sys.argv[2], settings={settings}, device="cpu",
                      watchers=[KillInSecondFold()])
"""


def test_a_killed_one_goes_on_and_ends_as_if_it_had_not_been(trained, module_cells, tmp_path):
    folder = RunFolder(tmp_path / "killed")
    script = KILLED.replace("{settings}", repr(QUICK))
    ended = subprocess.run([sys.executable, "-c", script, str(module_cells), str(folder.root)], check=False)
    assert ended.returncode == -9
    assert folder.fold(0).report.is_file() and not folder.fold(1).model.exists()
    first = (folder.fold(0).model / "weights.safetensors").stat().st_mtime_ns
    said = []
    watcher = Watcher()
    watcher.say = said.append
    limner.cross_validate(
        module_cells, folds=2, run=folder.root, settings=QUICK, device="cpu", watchers=[watcher]
    )
    assert any("trained already" in line for line in said) and any("continues" in line for line in said)
    assert (folder.fold(0).model / "weights.safetensors").stat().st_mtime_ns == first
    for index in range(2):
        weights = [run.fold(index).model / "weights.safetensors" for run in (folder, trained)]
        assert weights[0].read_bytes() == weights[1].read_bytes()
    scores = [run.evaluation("val") / "per_image.csv" for run in (folder, trained)]
    assert rows_of(scores[0]) == rows_of(scores[1])


def test_without_a_name_the_unfinished_one_is_continued(cells, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    class Stop(Watcher):
        def step(self, moment):
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        limner.cross_validate(cells, folds=2, settings=QUICK, device="cpu", watchers=[Stop()])
    ended = limner.cross_validate(cells, folds=2, settings=QUICK, device="cpu")
    assert ended.root.name == "data-1" and ended.report.is_file()
    (cells / "masks" / "cell_5.png").write_bytes((cells / "masks" / "cell_0.png").read_bytes())
    with pytest.raises(DataError):  # an image that is in no fold
        limner.cross_validate(cells, folds=2, run=ended.root, settings=QUICK, device="cpu")


def test_test_images_are_in_no_fold_and_scored_by_all_models_together(cells, tmp_path):
    settings = (cells / "dataset.yaml").read_text() + "splits: {val: 0.2, test: 0.2}\n"
    (cells / "dataset.yaml").write_text(settings)
    run = limner.cross_validate(cells, folds=2, run=tmp_path / "cv", settings=QUICK, device="cpu")
    splits = [json.loads(run.fold(i).splits.read_text()) for i in range(2)]
    (test,) = splits[0]["test"]
    assert splits[1]["test"] == [test] and all(test not in s["train"] + s["val"] for s in splits)
    rows = rows_of(run.evaluation("test") / "per_image.csv")
    image = cells / "images" / f"{test}.png"
    mean = np.mean(
        [
            limner.load(run.fold(i).root, device="cpu").predict(image, probabilities=True).probabilities
            for i in (0, 1)
        ],
        axis=0,
    )
    truth = cv2.imread(str(cells / "masks" / f"{test}.png"), 0) > 0
    right = int((truth & (mean.argmax(0) == 1)).sum())
    assert list(rows) == [test] and int(rows[test]["right/cell"]) == right
