import pytest
import torch
from torch import nn

from limner.core.errors import ConfigError
from limner.layers.freezing import freeze, rest
from limner.layers.norm import TolerantBatchNorm2d, replace_norms


def network():
    block = nn.Sequential(nn.Conv2d(3, 16, 3), TolerantBatchNorm2d(16), nn.Dropout(0.5))
    return nn.ModuleDict({"backbone": block, "head": nn.Sequential(nn.Conv2d(16, 2, 1), nn.BatchNorm2d(2))})


def test_a_frozen_part_is_neither_trained_nor_in_training_mode():
    net = network().train()
    freeze(net, ["network.backbone"])
    rest(net, ["backbone"])
    assert not any(p.requires_grad for p in net["backbone"].parameters())
    assert all(p.requires_grad for p in net["head"].parameters())
    assert not any(module.training for module in net["backbone"].modules())
    assert all(module.training for module in net["head"].modules()) and net.training


def test_a_prefix_ends_at_a_component():
    net = nn.ModuleDict({"layer1": nn.Conv2d(1, 1, 1), "layer10": nn.Conv2d(1, 1, 1)})
    freeze(net, ["layer1"])
    assert not net["layer1"].weight.requires_grad and net["layer10"].weight.requires_grad


def test_what_is_not_there_is_refused():
    with pytest.raises(
        ConfigError, match=r"'backbon' \(did you mean 'backbone'\?\). Its parts are: backbone, head"
    ):
        freeze(network(), ["backbon"])


def test_frozen_norms_alone():
    net = network().train()
    freeze(net, [], norms=True)
    rest(net, [], norms=True)
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 2 and not any(module.training for module in norms)
    assert not any(p.requires_grad for module in norms for p in module.parameters())
    assert net["backbone"][0].weight.requires_grad and net["backbone"][2].training


@pytest.mark.parametrize(("choice", "kind"), [("group", nn.GroupNorm), ("instance", nn.InstanceNorm2d)])
def test_norms_are_replaced_and_keep_scale_and_shift(choice, kind):
    net = network()
    nn.init.constant_(net["backbone"][1].weight, 3.0)
    nn.init.constant_(net["backbone"][1].bias, 5.0)
    replace_norms(net, choice)
    norm = net["backbone"][1]
    assert isinstance(norm, kind) and isinstance(net["head"][1], kind)
    found = norm(torch.randn(1, 16, 9, 9))
    assert found.mean().item() == pytest.approx(5.0, abs=1e-4) and found.std().item() == pytest.approx(
        3, abs=0.05
    )
    assert norm(torch.ones(1, 16, 1, 1)).shape == (1, 16, 1, 1)  # the pooling branch of PSPNet


@pytest.mark.parametrize("choice", [None, "batch", "sync", "frozen"])
def test_other_choices_keep_them(choice):
    net = network()
    nn.init.zeros_(net["head"][1].weight)
    replace_norms(net, choice)
    assert type(net["backbone"][1]) is TolerantBatchNorm2d
    # A frozen scale of zero would disable a residual block forever.
    assert net["head"][1].weight.tolist() == ([1.0, 1.0] if choice == "frozen" else [0.0, 0.0])


def test_a_network_without_batch_norms_is_refused():
    with pytest.raises(ConfigError, match="this network has none"):
        replace_norms(nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8)), "group")
