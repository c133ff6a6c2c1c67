"""What a plan freezes does not move by a bit: not by steps, decay, averaging, validation or a resumed run."""

import pytest
import torch
from torch import nn

from limner.core.errors import ConfigError
from limner.core.watchers import Watcher
from limner.networks import build_network
from limner.weights.bundle import load_model
from limner.weights.model import Model

OPTIMIZERS = [{"name": "adamw", "weight_decay": 0.5}, {"name": "sgd", "weight_decay": 0.5}]


def trained(tiny, folder, *, freeze=(), norm=None, ema=None, optimizer=OPTIMIZERS[0], steps=10):
    """Train a tiny network, and return its tensors before and after, and those of the saved model."""
    torch.manual_seed(3)
    network = tiny.TinyNetwork()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    plan = tiny.tiny_plan(
        network={"freeze": list(freeze), "norm": norm},
        train={"steps": steps, "ema_decay": ema},
        optimizer=optimizer,
    )
    tiny.run_tiny(folder, plan, network=network)
    saved = load_model(folder / "model", tiny.TinyNetwork()).network.state_dict()
    return before, network.state_dict(), saved


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: o["name"])
@pytest.mark.parametrize("ema", [None, 0.9])
def test_a_frozen_part_does_not_move(tiny, tmp_path, ema, optimizer):
    before, after, saved = trained(tiny, tmp_path, freeze=["backbone"], ema=ema, optimizer=optimizer)
    assert {"backbone.1.running_mean", "backbone.1.weight", "backbone.0.weight"} <= before.keys()
    for name in before:
        stays = name.startswith("backbone.")
        assert torch.equal(before[name], after[name]) is stays or name == "fading.gain", name
        assert torch.equal(before[name], saved[name]) is stays or name == "fading.gain", name


def test_frozen_norms_keep_their_statistics(tiny, tmp_path):
    before, after, _ = trained(tiny, tmp_path, norm="frozen")
    norm = [name for name in before if name.startswith("backbone.1.")]
    assert len(norm) == 5 and all(torch.equal(before[name], after[name]) for name in norm)
    assert not torch.equal(before["backbone.0.weight"], after["backbone.0.weight"])


def test_without_the_setting_everything_moves(tiny, tmp_path):
    before, after, _ = trained(tiny, tmp_path)
    assert not any(torch.equal(before[name], after[name]) for name in before)


def test_a_resumed_run_stays_frozen_and_is_the_uninterrupted_one(tiny, tmp_path):
    class StopAfterSix(Watcher):
        def step(self, moment):
            if moment.step == 6:
                raise RuntimeError("killed")

    plan = tiny.tiny_plan(network={"freeze": ["backbone.1"]}, train={"steps": 12, "save_every": 3})

    def network():
        torch.manual_seed(3)
        return tiny.TinyNetwork()

    with pytest.raises(RuntimeError, match="killed"):
        tiny.run_tiny(tmp_path / "a", plan, network=network(), watchers=[StopAfterSix()])
    tiny.run_tiny(tmp_path / "a", plan, network=network(), resume=True)
    tiny.run_tiny(tmp_path / "b", plan, network=network())
    a, b = ((tmp_path / name / "model" / "weights.safetensors").read_bytes() for name in "ab")
    assert a == b
    with pytest.raises(ConfigError, match="network.freeze was"):
        other = tiny.tiny_plan(network={"freeze": []}, train={"steps": 12, "save_every": 3})
        tiny.run_tiny(tmp_path / "a", other, network=network(), resume=True)


@pytest.mark.parametrize(
    ("freeze", "words"), [(["bone"], "starts with 'bone'"), (["backbone", "head"], "no trainable")]
)
def test_what_cannot_be_frozen_is_said(tiny, tmp_path, freeze, words):
    with pytest.raises(ConfigError, match=words):
        trained(tiny, tmp_path, freeze=freeze)


def test_norms_of_a_users_module_are_not_replaced(tiny, tmp_path):
    with pytest.raises(ConfigError, match="limner's own networks"):
        trained(tiny, tmp_path, norm="group")


@pytest.mark.parametrize(("choice", "kind"), [("group", nn.GroupNorm), ("instance", nn.InstanceNorm2d)])
def test_a_plan_replaces_the_norms_and_the_saved_model_has_them(tiny_plan, choice, kind):
    plan = tiny_plan()
    plan = plan.model_copy(
        update={
            "network": plan.network.model_copy(
                update={"name": "pspnet", "options": {"backbone": "resnet18_width16"}, "norm": choice}
            )
        }
    )
    model = Model.from_plan(plan).train()
    assert not any(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    assert any(isinstance(m, kind) for m in model.modules())
    images = torch.rand(1, 3, 48, 48) * 255
    model(images).logits.mean().backward()
    again = Model.from_plan(plan)
    again.load_state_dict(model.state_dict())
    torch.testing.assert_close(again.eval()(images).logits, model.eval()(images).logits)


def test_networks_have_the_parts_that_the_docs_name():
    names = [name for name, _ in build_network("pspnet", num_classes=2).named_parameters()]
    assert any(name.startswith("backbone.layer1.") for name in names)
