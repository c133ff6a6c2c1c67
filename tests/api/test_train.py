"""The verb itself: what it refuses, and that its parts leave one whole run; training/ tests the training."""

import csv
import json
import os
import shlex
import shutil
import sys
from collections import Counter

import pytest
import torch
from safetensors.torch import load_file

from limner.api.load import load
from limner.api.train import resume, train
from limner.core.errors import ConfigError, DataError, ModelError
from limner.core.plan import ResizePlan
from limner.core.run_folder import RunFolder
from limner.core.watchers import Watcher
from limner.planning.plan_files import read_plan

QUICK = {
    "network": {"name": "unet", "options": {"widths": [4, 6]}},
    "input": {"crop_size": [48, 48]},
    "train": {
        "steps": 2,
        "batch_size": 2,
        "validate_every": 2,
        "save_every": 2,
        "workers": 0,
        "trackers": [],
    },
}


@pytest.fixture(scope="module")
def _trained(module_cells, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    return train(module_cells, run=folder, settings=QUICK, device="cpu")


@pytest.fixture
def trained(_trained, tmp_path):
    """A finished run, which a test may change."""
    return RunFolder(shutil.copytree(_trained.root, tmp_path / "new" / "run"))


def test_a_run_is_whole(trained, cells):
    for path in (trained.plan, trained.findings, trained.environment, trained.report):
        assert path.stat().st_size > 0, path
    names = json.loads(trained.splits.read_text("utf-8"))
    assert sorted(sum(names.values(), [])) == [f"cell_{n}" for n in range(5)]  # cell_5 has no mask
    scores = json.loads((trained.evaluation("val") / "scores.json").read_text("utf-8"))
    assert scores["num_images"] == len(names["val"])
    with trained.metrics.open(newline="") as file:
        steps = {row["step"] for row in csv.DictReader(file)}
    assert max(map(int, steps)) == 2
    prediction = load(trained.root, device="cpu").predict(cells / "images" / "cell_5.png")
    assert prediction.semantic.shape == (45, 50)


def test_a_finished_run_can_be_resumed_and_stays_as_it_is(trained):
    before = (trained.model / "weights.safetensors").read_bytes()
    assert resume(trained.root, device="cpu") == trained
    assert (trained.model / "weights.safetensors").read_bytes() == before


def test_a_command_that_is_started_again_goes_on(trained, cells, monkeypatch):
    before = (trained.model / "weights.safetensors").read_bytes()
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert train(cells, run=trained.root, settings=QUICK, device="cpu") == trained
    assert (trained.model / "weights.safetensors").read_bytes() == before
    monkeypatch.setattr("sys.argv", ["limner", "train", "other data"])  # which no launcher has started before
    with pytest.raises(ConfigError, match="already in use"):
        train(cells, run=trained.root, settings=QUICK, device="cpu")


def test_a_folder_that_is_taken_is_refused(cells, tmp_path):
    taken = tmp_path / "new" / "taken"
    taken.mkdir(parents=True)
    (taken / "thesis.tex").touch()
    with pytest.raises(ConfigError, match="already in use"):
        train(cells, run=taken, settings=QUICK, device="cpu")
    assert [path.name for path in taken.iterdir()] == ["thesis.tex"]


def test_data_with_errors_makes_no_run(tmp_path, cells):
    (cells / "masks" / "cell_0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="cell_0.png"):
        train(cells, run=tmp_path / "new" / "run", settings=QUICK, device="cpu")
    assert not (tmp_path / "new").exists()


def test_what_is_no_run_is_not_resumed(tmp_path):
    with pytest.raises(ConfigError, match="This is not a run folder"):
        resume(RunFolder(tmp_path).root)


def test_a_run_says_where_and_how_it_was_made(cells, tmp_path, monkeypatch):
    command = ["/usr/bin/limner", "train", "my data", "--set", "network.options={widths: [4, 8]}"]
    monkeypatch.setattr("sys.argv", command)
    settings = {
        "network": {"name": "unet", "options": {"widths": [4, 8]}},
        "input": {"crop_size": [16, 16]},
        "train": {"steps": 1, "batch_size": 2, "trackers": []},
    }
    run = train(cells, run=tmp_path / "run", settings=settings, device="cpu")
    environment = json.loads(run.environment.read_text("utf-8"))
    assert environment["device"] == "cpu" and environment["device_name"]
    assert environment["threads"] == torch.get_num_threads()
    assert 1 <= environment["cores"] <= (os.cpu_count() or 1)
    # Pasted into a shell, the command has the same arguments again.
    assert shlex.split(environment["command"]) == ["limner", *command[1:]]
    assert "Device" in run.report.read_text("utf-8")


STILL = {"optimizer": {"learning_rate": 1e-12, "name": "sgd"}}


def test_a_training_starts_from_a_run_and_its_new_class_anew(trained, cells, tmp_path):
    (cells / "dataset.yaml").write_text(
        "classes:\n- {name: Background, value: 0}\n- {name: nucleus, value: 255}\n", "utf-8"
    )
    said = []
    watcher = Watcher()
    watcher.say = said.append
    quick = {"train": QUICK["train"] | {"ema_decay": None}, "input": QUICK["input"]}
    run = train(
        cells,
        run=tmp_path / "new" / "next",
        weights=trained.root,
        settings=quick | STILL,
        device="cpu",
        watchers=[watcher],
    )
    plan = read_plan(run.plan)
    assert plan.network.name == "unet" and plan.network.options == {"widths": [4, 6]}
    assert plan.network.weights == str(trained.root.resolve())
    report = next(message for message in said if "starts from" in message)
    assert "1 matched by name (Background), 1 new (nucleus)" in report
    before, after = (load_file(folder.model / "weights.safetensors") for folder in (trained, run))
    head = [name for name, value in before.items() if value.shape[:1] == (2,) and "head" in name]
    for name in before:
        same = torch.isclose(before[name], after[name], atol=1e-6, rtol=0)
        if name not in head and "running" not in name and "num_batches" not in name:
            assert same.all(), name
        if name in head and name.endswith("weight"):
            assert same[0].all() and not same[1].any()
    assert head
    origin = json.loads((run.model / "model.json").read_text("utf-8"))["origin"]["started_from"]
    assert origin["carried_over"] == ["Background"] and origin["tensors"]["by_class"] == len(head)


def test_a_training_starts_from_a_checkpoint_and_keeps_its_licence(authors_file, cells, tmp_path):
    checkpoint = authors_file("model_final_3c8ec9.pkl", 80)
    run = train(
        cells,
        run=tmp_path / "tuned",
        weights=checkpoint,
        settings={"train": QUICK["train"], "input": {"crop_size": [64, 64]}},
        device="cpu",
    )
    plan = read_plan(run.plan)
    assert plan.network.name == "mask2former" and plan.network.options["num_queries"] == 5
    assert plan.input.mean == pytest.approx((123.675, 116.28, 103.53))
    assert plan.resize_for(plan.inference).is_noop  # it is trained, and so predicted, at the images' own size
    card = json.loads((run.model / "model.json").read_text("utf-8"))
    assert card["licence"] == "CC-BY-NC-4.0"
    assert card["origin"]["started_from"]["weights"] == str(checkpoint)
    assert load(run.root, device="cpu").predict(cells / "images" / "cell_5.png").semantic.shape == (45, 50)


def test_a_run_on_resized_images_predicts_at_their_own_size(cells, tmp_path):
    settings = QUICK | {"input": {"crop_size": [48, 48], "resize": {"shortest": 96}}}
    run = train(cells, run=tmp_path / "small", settings=settings, device="cpu")
    model = load(run.root, device="cpu")
    assert model.plan.input.resize == ResizePlan(shortest=96) and model.plan.inference.resize is None
    assert model.predict(cells / "images" / "cell_5.png").semantic.shape == (45, 50)
    scores = json.loads((run.evaluation("val") / "scores.json").read_text("utf-8"))
    names = json.loads(run.splits.read_text("utf-8"))["val"]
    # cell_n has 40 + n rows of 50 pixels.
    assert sum(map(sum, scores["confusion_matrix"])) == sum(50 * (40 + int(name[-1])) for name in names)
    # Weights that were trained on resized images are tuned on images of that size too.
    tuned = train(
        cells, run=tmp_path / "tuned", weights=run.root, settings={"train": QUICK["train"]}, device="cpu"
    )
    assert read_plan(tuned.plan).input.resize == ResizePlan(shortest=96)


def test_weights_that_do_not_go_with_the_network_are_refused_before_anything_runs(trained, cells, tmp_path):
    with pytest.raises(ConfigError, match=r"another network[\s\S]*found: +unet[\s\S]*expected: enet"):
        train(cells, run=tmp_path / "no", network="enet", weights=trained.root, device="cpu")
    with pytest.raises(ModelError, match="no such checkpoint"):
        train(cells, run=tmp_path / "no", weights=tmp_path / "nowhere", device="cpu")
    with pytest.raises(ConfigError, match="has its own weights"):
        train(cells, run=tmp_path / "no", network=torch.nn.Identity(), weights=trained.root, device="cpu")
    assert not (tmp_path / "no").exists()


def test_a_run_goes_one_way(cells, tmp_path):
    # Nothing that is at hand is read again: neither the data, nor the plan, nor the model for each split.
    (cells / "dataset.yaml").open("a").write("splits: {val: 0.2, test: 0.2}\n")
    calls = Counter()

    def count(frame, event, argument):
        if event == "call" and frame.f_globals.get("__name__", "").startswith("limner."):
            calls[frame.f_code.co_name] += frame.f_code.co_name in ("open_source", "read_plan", "load_model")

    sys.setprofile(count)
    try:
        run = train(cells, run=tmp_path / "run", settings=QUICK, device="cpu")
    finally:
        sys.setprofile(None)
    assert all((run.evaluation(split) / "scores.json").is_file() for split in ("val", "test"))
    assert +calls == {"open_source": 1, "load_model": 1}
