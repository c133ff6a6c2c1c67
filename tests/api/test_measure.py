import hashlib
import json
import shutil

import pytest
import torch
import yaml

import limner
from limner.analysis import network_speed
from limner.core.errors import ConfigError, UnknownNameError
from limner.networks import build_network


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    monkeypatch.setattr(network_speed, "LONGEST_SECONDS", 0.0)


def test_a_named_network(monkeypatch):
    found = limner.measure("unet", size=(64, 96), num_classes=2, device="cpu")
    network = build_network("unet", num_classes=2, in_channels=3)
    assert found.parameters == sum(p.numel() for p in network.parameters()) == sum(found.parts.values())
    # PyTorch's own counter sees two operations in a multiply-add.
    with torch.utils.flop_counter.FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, 3, 64, 96))
    assert found.multiply_adds == counter.get_total_flops() // 2
    assert found.size == (64, 96) and found.batch == 1 and found.speed.peak_bytes is not None


def test_a_model_has_its_own_classes(run):
    found = limner.measure(run.root, size=(40, 40), batch=2, device="cpu")
    assert found.num_classes == 2 and found.channels == 3 and found.batch == 2
    one = limner.measure(run.model, size=(40, 40), device="cpu")
    assert found.multiply_adds == 2 * one.multiply_adds


def test_a_model_resizes_images_as_its_plan_says(run, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(run.model, folder)
    plan = folder / "plan.yaml"
    found = yaml.safe_load(plan.read_text())
    found["input"]["resize"] = {"shortest": 24, "multiple": 8}
    plan.write_text(yaml.safe_dump(found))
    card = json.loads((folder / "model.json").read_text())
    card["sha256"]["plan.yaml"] = hashlib.sha256(plan.read_bytes()).hexdigest()
    (folder / "model.json").write_text(json.dumps(card))
    small = limner.measure(run.model, size=(24, 48), device="cpu")
    resized = limner.measure(folder, size=(48, 96), device="cpu")
    assert (resized.size, resized.network_size) == ((48, 96), (24, 48))
    assert small.network_size == small.size
    assert resized.multiply_adds == small.multiply_adds


def test_memory_is_measured_before_counting_raises_the_peak(monkeypatch):
    # Of a process only the highest peak is known: a forward pass before would hide that of the measured one.
    from limner.api import measure as module

    done = []
    for name in ("measure_speed", "count_multiply_adds"):
        step = getattr(module, name)

        def noted(*args, name=name, step=step, **named):
            done.append(name)
            return step(*args, **named)

        monkeypatch.setattr(module, name, noted)
    limner.measure("enet", size=(33, 33), device="cpu")
    assert done == ["measure_speed", "count_multiply_adds"]


def test_what_does_not_fit_is_refused():
    with pytest.raises(UnknownNameError, match="network"):
        limner.measure("unett")
    with pytest.raises(ConfigError, match=r"2 numbers; found \(64, 64, 64\)"):
        limner.measure("unet", size=(64, 64, 64))
    for options, said in (
        ({"size": (10**200, 8)}, "Choose a smaller --size"),
        ({"size": (64, 64), "batch": 10**9}, "Choose a smaller --size"),
        ({"num_classes": 10**11}, "number of classes must be from 1 to 65,536"),
        ({"channels": 0}, "number of channels"),
    ):
        with pytest.raises(ConfigError, match=said):
            limner.measure("unet", device="cpu", **options)


class Scores(torch.nn.Module):
    """The scores alone: fvcore cannot follow an output kind."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, image):
        return self.network(image).logits


@pytest.mark.peer
def test_multiply_adds_are_those_of_fvcore():
    fvcore = pytest.importorskip("fvcore.nn")
    found = limner.measure("unet", size=(64, 96), num_classes=2, device="cpu")
    network = build_network("unet", num_classes=2, in_channels=3).eval()
    counted = fvcore.FlopCountAnalysis(Scores(network), torch.zeros(1, 3, 64, 96)).total()
    assert found.multiply_adds == pytest.approx(counted, rel=0.01)
