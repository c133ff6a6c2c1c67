"""Classes of whole images, from the folder to the report: every command as a user runs it."""

import csv
import json

import cv2
import numpy as np
import pytest
from safetensors.torch import save_file
from typer.testing import CliRunner

import limner
from limner.api.browse_augmented import browse_augmented
from limner.api.explain import explain_classes
from limner.api.train import resume
from limner.cli.app import app
from limner.core.errors import ConfigError
from limner.core.plan_text import plan_from_yaml
from limner.core.watchers import Watcher
from limner.networks.backbones.image_encoder import build_encoder

COLORS = {"blue": (200, 60, 30), "green": (40, 190, 60), "red": (50, 40, 210)}
QUICK = {
    "train": {"steps": 20, "batch_size": 6, "validate_every": 10, "save_every": 10, "workers": 0},
    "input": {"crop_size": 48},
    "network": {"pretrained": "no", "options": {"backbone": "resnet18_width16"}},
    "inference": {"resize": {"shortest": 48, "longest": 96}},
    "augment": {"hue": 0.0, "saturation": 0.1},
    "optimizer": {"learning_rate": 0.003},
}


def picture(kind, number, size=(40, 56)):
    noise = np.random.default_rng(number).integers(-30, 31, (*size, 3))
    return np.clip(np.array(COLORS[kind]) + noise, 0, 255).astype(np.uint8)


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six pictures of each of three colours to train on, two to validate, in folders of classes."""
    root = tmp_path_factory.mktemp("classes") / "colours"
    for kind in COLORS:
        for number in range(8):
            split = "train" if number < 6 else "val"
            write(root / split / kind / f"{kind}{number}.png", picture(kind, number))
    return root


@pytest.fixture(scope="module")
def run(folder):
    return limner.train(folder, run=folder.parent / "run", settings=QUICK, device="cpu")


def test_the_task_is_recognised_and_learned(run):
    plan = plan_from_yaml(run.plan.read_text())
    assert plan.task == "classification" and plan.network.name == "classifier"
    assert plan.reasons["task"] == "the labels are for it"
    scores = json.loads((run.evaluation("val") / "scores.json").read_text())
    assert scores["accuracy"] == 1 and scores["macro_area_under_roc"] == 1
    assert "top5_accuracy" not in scores
    assert [row["images"] for row in scores["classes"]] == [2, 2, 2]
    assert scores["intervals"]["accuracy"] == [1, 1]


def test_the_report_shows_matrix_curves_and_pictures(run):
    page = run.report.read_text()
    assert "the model reaches an accuracy of 1.000.<" in page  # not said in percent again
    assert "No image is misclassified" in page
    for part in ("Least confident hits", "ROC: recall by false positive rate", "Accuracy by confidence"):
        assert part in page
    assert "Most confident mistakes" not in page  # there are none
    assert len(list((run.evaluation("val") / "pictures").glob("hit-*.png"))) == 6
    assert (run.evaluation("val") / "confusion.png").is_file()


def test_evaluate_says_what_each_image_was_taken_for(run, folder, tmp_path):
    found = limner.evaluate(run.root, data=folder, out=tmp_path / "out", device="cpu")
    assert found.scores.num_images == 24
    rows = list(csv.DictReader((tmp_path / "out" / "per_image.csv").open()))
    assert {(row["truth"], row["predicted"]) for row in rows} == {(kind, kind) for kind in COLORS}
    curves = list(csv.DictReader((tmp_path / "out" / "class_curves.csv").open()))
    assert {row["class"] for row in curves} == {*COLORS}
    shown = CliRunner().invoke(app, ["evaluate", str(run.root), "--device", "cpu"])
    assert shown.exit_code == 0 and "balanced accuracy" in shown.output


def test_predict_writes_a_table_and_sorts_copies(run, folder, tmp_path):
    write(tmp_path / "new" / "a.png", picture("red", 50, (8, 8)))  # smaller than any network takes
    write(tmp_path / "new" / "sub" / "a.png", picture("green", 51, (200, 90)))
    grey = np.repeat(picture("green", 52)[..., :1], 3, axis=2)
    write(tmp_path / "new" / "grey.png", grey[..., 0])
    out = tmp_path / "out"
    found = limner.predict(run.model, tmp_path / "new", out=out, probabilities=True, sort=True, device="cpu")
    assert found.num_predicted == 3 and not found.failures and found.json is None
    rows = {row["image"]: row for row in csv.DictReader(found.csv.open())}
    assert len(rows) == 3
    red = rows[str(tmp_path / "new" / "a.png")]
    assert red["class"] == "red" and float(red["probability"]) > 0.5
    every = [float(red[f"probability of {kind}"]) for kind in COLORS]
    assert sum(every) == pytest.approx(1, abs=1e-5) and max(every) == float(red["probability"])
    copied = out / "sorted" / "red" / "a.png"
    assert copied.read_bytes() == (tmp_path / "new" / "a.png").read_bytes()
    assert (out / "sorted" / "green" / "sub" / "a.png").is_file()
    assert (out / "overlays" / "sub" / "a.png").is_file()

    again = limner.predict(run.model, tmp_path / "new" / "a.png", out=out, overlay=False, device="cpu")
    assert len(again.csv.read_text().splitlines()) == 2
    mirrored = limner.load(run.model, device="cpu")
    assert mirrored.predict(tmp_path / "new" / "a.png").label == 2


def test_a_copy_that_someone_changed_is_not_replaced(run, tmp_path):
    write(tmp_path / "a.png", picture("red", 60))
    write(tmp_path / "out" / "sorted" / "red" / "a.png", picture("blue", 61))
    with pytest.raises(ConfigError, match="would replace another file"):
        limner.predict(run.model, tmp_path / "a.png", out=tmp_path / "out", sort=True, device="cpu")


def test_explain_draws_the_evidence_for_several_classes(run, folder, tmp_path):
    image = folder / "val" / "red" / "red7.png"
    found = explain_classes(run.model, image, out=tmp_path / "heat", device="cpu")
    assert [each.class_name for each in found][0] == "red" and len(found) == 3
    heats = found[0].heats
    assert {*heats} == {"gradcam", "hirescam", "layercam"}
    assert all(heat.shape == (40, 56) for heat in heats.values())  # of the image, not of the network's input
    assert all(path.is_file() for each in found for path in each.pictures)
    (one,) = explain_classes(run.model, image, class_names=["blue"], device="cpu")
    assert one.class_name == "blue"
    with pytest.raises(ConfigError, match="classes of whole images"):
        explain_classes(run.model, image, class_names=["blue"], point=(1, 1), device="cpu")


def test_augmentation_is_drawn(folder):
    settings = {**QUICK, "augment": {"random_changes": 2, "erasing": 1.0}}
    drawn = browse_augmented(folder, images=2, settings=settings)
    assert len(drawn.images) == 2


def test_it_trains_with_everything_at_once_and_resumes_as_it_was(folder, tmp_path):
    settings = {
        **QUICK,
        "network": {"pretrained": "no", "options": {"backbone": "mobilenetv3_small_050"}},
        "train": {**QUICK["train"], "steps": 4, "balanced": True, "save_every": 2, "validate_every": 2},
        "augment": {"mixup": 0.4, "cutmix": 1.0, "random_changes": 1, "erasing": 0.5},
        "loss": {"terms": [{"name": "focal"}, {"name": "one_hot_l1", "weight": 0.5}]},
    }
    whole = limner.train(folder, run=tmp_path / "whole", settings=settings, device="cpu")

    class PowerCut(Watcher):
        def step(self, moment):
            if moment.step == 3:
                raise RuntimeError("power cut")

    half = tmp_path / "half"
    with pytest.raises(RuntimeError, match="power cut"):
        limner.train(folder, run=half, settings=settings, device="cpu", watchers=[PowerCut()])
    weights = [run.model / "weights.safetensors" for run in (whole, resume(half, device="cpu"))]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_epochs_are_another_unit_of_steps(folder):
    settings = {"train": {"epochs": 5, "batch_size": 6}, "network": {"pretrained": "no"}}
    plan = limner.plan(folder, settings=settings)
    assert plan.train.steps == 15  # 18 images in batches of 6, five times
    assert plan.reasons["train.steps"] == "5 passes over 18 training images"


def test_a_probe_fits_frozen_features_in_seconds(folder, tmp_path):
    weights = tmp_path / "resnet18.safetensors"
    save_file(build_encoder("resnet18").state_dict(), weights)
    settings = {
        "network": {"name": "linear-probe", "pretrained": str(weights)},
        "input": {"crop_size": 64},
        "inference": {"resize": {"shortest": 64, "longest": 128}},
    }
    run = limner.train(folder, run=tmp_path / "run", settings=settings, device="cpu")
    plan = plan_from_yaml(run.plan.read_text())
    assert plan.network.options["backbone"] == "resnet18" and plan.network.freeze == ("backbone",)
    scores = json.loads((run.evaluation("val") / "scores.json").read_text())
    assert scores["accuracy"] == 1
    assert limner.load(run.model, device="cpu").predict(picture("red", 9)).probabilities.shape == (3,)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"network": {"name": "unet"}}, "cannot be trained for the task 'classification'"),
        ({"task": "semantic"}, r"not suitable for the task 'semantic'(.|\n)*--task classification"),
        ({"network": {"pretrained": "weights.txt"}}, r"auto, yes, no, or a weight file"),
        ({"loss": {"terms": [{"name": "dice"}]}}, "dice"),
    ],
)
def test_what_does_not_fit_is_refused_before_training(folder, settings, message):
    with pytest.raises(ConfigError, match=message):
        limner.train(folder, run=folder.parent / "never", settings=settings, device="cpu")


def test_mixing_is_refused_for_pixels(tmp_path):
    for number in range(3):
        write(tmp_path / "cells" / "images" / f"{number}.png", picture("red", number))
        write(tmp_path / "cells" / "masks" / f"{number}.png", np.eye(40, 56, dtype=np.uint8))
    with pytest.raises(ConfigError, match=r"augment.mixup is for classes of whole images"):
        limner.plan(tmp_path / "cells", settings={"augment": {"mixup": 0.2}})
