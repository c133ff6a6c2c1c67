import csv
import json
import shutil
from types import SimpleNamespace

import pytest
import torch

import limner.api.compare_networks as module
from limner.api import train as train_module
from limner.api.compare_networks import compare_networks
from limner.core.errors import ConfigError, UnknownNameError
from limner.core.network_comparison import ComparedNetwork
from limner.networks import network_settings

SMALL = {
    "train": {"steps": 2, "batch_size": 2, "trackers": []},
    "input": {"crop_size": [33, 33]},
}
NAMES = ["enet", "espnet/shallow"]


@pytest.fixture(scope="module")
def compared(module_cells, tmp_path_factory):
    """A comparison that the tests only read; one that goes on with it takes a copy of its folder."""
    out = tmp_path_factory.mktemp("compared") / "out"
    return compare_networks(module_cells, NAMES, out=out, settings=SMALL, device="cpu")


def test_each_network_has_its_scores_and_costs(compared):
    assert [row.name for row in compared.networks] == NAMES
    with compared.table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row, written in zip(compared.networks, rows, strict=True):
        assert row.problem == ""
        scores = json.loads((compared.run_of(row.name) / "evaluation" / "val" / "scores.json").read_text())
        assert float(written["foreground_dice"]) == scores["foreground_dice"]
        assert int(written["steps"]) == row.steps == 2
        assert row.training_bytes > 4 * row.parameters * 4  # weights, gradients and two moments at least
        assert row.predict_seconds > 0
    # The authors' count with 19 classes; the last layer has 16 inputs and 3 x 3 weights for each.
    assert compared.networks[0].parameters == 351660 - 17 * 16 * 9
    assert compared.num_images == len(
        json.loads((compared.run_of(NAMES[0]) / "splits.json").read_text())["val"]
    )


def test_the_page_and_the_plot_name_every_network(compared):
    for file in (compared.page, compared.plot):
        text = file.read_text("utf-8")
        assert all(name in text for name in NAMES)
    assert compared.plot.read_text("utf-8").count("<rect") == 1 + len(NAMES)


def test_a_second_call_goes_on_and_adds(module_cells, compared, tmp_path, monkeypatch):
    out = shutil.copytree(compared.root, tmp_path / "out")
    trained = []
    train = train_module.train
    monkeypatch.setattr(
        train_module, "train", lambda *a, **k: (trained.append(k["run"].name), train(*a, **k))
    )
    again = compare_networks(module_cells, [*NAMES, "espnet/ESPNet-C"], out=out, settings=SMALL, device="cpu")
    assert trained == ["espnet-ESPNet-C"]
    assert [row.scores for row in again.networks[:2]] == [row.scores for row in compared.networks]


def test_a_network_that_fails_costs_no_other(cells, tmp_path, monkeypatch):
    train = train_module.train

    def fails_once(*args, **named):
        if named["settings"]["network"]["name"] == "enet":
            raise RuntimeError("the sky fell\non our heads")
        return train(*args, **named)

    monkeypatch.setattr(train_module, "train", fails_once)
    compared = compare_networks(cells, NAMES, out=tmp_path / "out", settings=SMALL, device="cpu")
    broken, fine = compared.networks
    assert broken.problem == "RuntimeError: the sky fell"
    assert "on our heads" in (compared.run_of(broken.name) / "problem.txt").read_text()
    assert fine.scores
    assert compared.best_first[0] is fine
    monkeypatch.undo()
    (compared.run_of(fine.name) / "problem.txt").touch()  # of a failure before it was resumed
    fixed = compare_networks(cells, NAMES, out=tmp_path / "out", settings=SMALL, device="cpu")
    assert [row.problem for row in fixed.networks] == ["", ""]
    assert not [*fixed.root.rglob("problem.txt")]


def test_another_comparison_is_not_mixed_in(module_cells, compared):
    with pytest.raises(ConfigError, match="a different comparison"):
        compare_networks(module_cells, NAMES, out=compared.root, minutes=3, settings=SMALL, device="cpu")


def test_names_are_checked_before_anything_is_read(tmp_path):
    with pytest.raises(UnknownNameError, match="pspnet"):
        compare_networks(tmp_path / "nowhere", ["unet", "pspnett"])
    with pytest.raises(UnknownNameError, match="resnet18c"):
        compare_networks(tmp_path / "nowhere", ["pspnet/resnet18"])
    with pytest.raises(ConfigError, match="Specify the networks"):
        compare_networks(tmp_path / "nowhere", [])


def test_a_variant_is_its_options():
    assert network_settings("unet") == {"network": {"name": "unet"}}
    variant = network_settings("pspnet/resnet18c")
    assert variant == {"network": {"name": "pspnet", "options": {"backbone": "resnet18c"}}}


def test_an_encoder_alone_is_answered_with_the_networks_on_it():
    with pytest.raises(ConfigError, match="'resnet18' is an encoder.*classifier/resnet18, dbnet/resnet18"):
        network_settings("resnet18")


def test_networks_for_slices_and_for_volumes_are_not_mixed(tmp_path, monkeypatch):
    def goes_on(planned, out):
        raise RuntimeError("goes on")

    checked = SimpleNamespace(facts=SimpleNamespace(volumes=("a",)), source=SimpleNamespace(root=tmp_path))
    given = []

    def plan_data(data, settings, *_, **__):
        given.append(settings)
        return SimpleNamespace(checked=checked, settings=settings)

    monkeypatch.setattr(module, "plan_data", plan_data)
    monkeypatch.setattr(module, "_begin", goes_on)
    with pytest.raises(ConfigError, match=r"(?s)for slices only: segnet\n.*--spatial 2d"):
        compare_networks(tmp_path, ["unet", "segnet"])
    with pytest.raises(RuntimeError, match="goes on"):
        compare_networks(tmp_path, ["unet", "segnet"], spatial="2d")
    assert given[1] == {"input": {"spatial_dims": 2}}


@pytest.mark.slow
def test_two_processes_train_what_one_trains(module_cells, compared, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))  # of both processes
    said = []
    watcher = SimpleNamespace(
        **{name: lambda *_: None for name in ("start", "step", "log", "flush", "close")}
    )
    watcher.say = said.append
    options = {"settings": SMALL, "device": "cpu", "watchers": [watcher]}
    shared = compare_networks(module_cells, NAMES, out=tmp_path / "out", processes=2, **options)
    assert [(row.name, row.problem, row.steps) for row in shared.networks] == [
        (name, "", 2) for name in NAMES
    ]
    assert [row.scores for row in shared.networks] == [row.scores for row in compared.networks]
    assert shared.page.is_file() and not [line for line in said if "ended early" in line]
    with pytest.raises(ConfigError, match=r"(?s)a different comparison.*shared by processes"):
        compare_networks(module_cells, NAMES, out=compared.root, processes=1, settings=SMALL, device="cpu")


def test_networks_that_failed_are_tried_again_by_processes_that_share_them(cells, tmp_path, monkeypatch):
    tried = []

    def train(data, run, settings, execution):
        name = settings["network"]["name"]
        tried.append(name)
        if tried.count(name) == 1 and name == "enet":
            raise RuntimeError("the sky fell")

    monkeypatch.setattr(module, "_train", train)
    monkeypatch.setattr(module, "_row", lambda name, *_, **__: ComparedNetwork(name, steps=2))
    options = {"out": tmp_path / "out", "settings": SMALL, "device": "cpu", "processes": 1}
    first = compare_networks(cells, NAMES, **options)
    assert [row.problem for row in first.networks] == ["RuntimeError: the sky fell", ""]
    second = compare_networks(cells, NAMES, **options)
    assert [row.problem for row in second.networks] == ["", ""] and len(tried) == 4
    compare_networks(cells, NAMES, **options)
    assert len(tried) == 4
