import pytest
import torch
from torch import nn

from limner.core.errors import ConfigError
from limner.core.plan import OptimizerPlan
from limner.training.optimizers import (
    build_optimizer,
    load_named_state,
    named_state,
    parameter_groups,
    set_learning_rate,
)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.backbone_neck = nn.Linear(4, 4)
        self.head = nn.ModuleDict({"norm": nn.GroupNorm(2, 4), "out": nn.Conv2d(4, 2, 1)})

    def forward(self, x):
        x = self.backbone_neck(self.backbone(x).movedim(1, -1)).movedim(-1, 1)
        return self.head["out"](self.head["norm"](x))


class Wrapper(nn.Module):
    def __init__(self):
        super().__init__()
        self.network = Net()


def by_name(groups):
    return {name: g for g in groups for name in g["names"]}


def test_norms_and_biases_have_no_decay():
    found = by_name(parameter_groups(Net(), OptimizerPlan(learning_rate=0.1, weight_decay=0.05)))
    decayed = {name for name, group in found.items() if group["weight_decay"] == 0.05}
    assert decayed == {"backbone.0.weight", "backbone_neck.weight", "head.out.weight"}
    assert {g["weight_decay"] for name, g in found.items() if name not in decayed} == {0.0}


@pytest.mark.parametrize("module", [Net(), Wrapper()])
def test_multipliers_go_by_the_start_of_the_name_and_the_longest_wins(module):
    plan = OptimizerPlan(
        learning_rate=1.0, weight_decay=1.0, multipliers={"backbone": 0.1, "head": 10, "head.out": 5}
    )
    found = {n.removeprefix("network."): g["lr"] for n, g in by_name(parameter_groups(module, plan)).items()}
    assert found["backbone.0.weight"] == pytest.approx(0.1)
    assert found["backbone_neck.weight"] == 1.0  # another part, not inside `backbone`
    assert found["head.norm.weight"] == 10
    assert found["head.out.bias"] == 5


def test_a_star_stands_for_any_depth():
    plan = OptimizerPlan(learning_rate=1.0, multipliers={"*.out": 0.1, "head": 10})
    found = by_name(parameter_groups(Wrapper(), plan))
    assert found["network.head.out.weight"]["lr"] == pytest.approx(0.1)
    assert found["network.head.norm.weight"]["lr"] == 10
    with pytest.raises(ConfigError, match=r"starts with '\*.ou'"):
        parameter_groups(Wrapper(), OptimizerPlan(learning_rate=1.0, multipliers={"*.ou": 0.1}))


def test_decay_multipliers():
    plan = OptimizerPlan(learning_rate=1.0, weight_decay=0.2, decay_multipliers={"head": 0.5})
    found = by_name(parameter_groups(Net(), plan))
    assert found["head.out.weight"]["weight_decay"] == pytest.approx(0.1)
    assert found["head.out.bias"]["weight_decay"] == 0


def test_a_multiplier_without_parameters_names_the_nearest_part():
    with pytest.raises(ConfigError, match="did you mean 'backbone'"):
        parameter_groups(Wrapper(), OptimizerPlan(learning_rate=1.0, multipliers={"backbon": 0.1}))


def test_frozen_parameters_are_left_out_and_all_frozen_is_an_error():
    net = Net()
    net.backbone.requires_grad_(False)
    assert not any(name.startswith("backbone.") for name in by_name(parameter_groups(net, plan_of("sgd"))))
    with pytest.raises(ConfigError, match="no trainable parameters"):
        parameter_groups(net.requires_grad_(False), plan_of("sgd"))


def plan_of(name):
    return OptimizerPlan(name=name, learning_rate=0.1, multipliers={"backbone": 0.5})


def test_the_rate_is_a_factor_of_each_groups_largest():
    optimizer = build_optimizer(Net(), plan_of("sgd"))
    set_learning_rate(optimizer, 0.5)
    set_learning_rate(optimizer, 0.25)  # of the largest rate, not of the last one
    assert sorted({group["lr"] for group in optimizer.param_groups}) == pytest.approx([0.0125, 0.025])


def test_sgd_by_hand():
    # w = 1, gradient 2, decay 0.1: velocity 2 + 0.1 * 1 = 2.1; w = 1 - 0.1 * 2.1 = 0.79
    # second step, gradient 2: velocity 0.9 * 2.1 + 2 + 0.079 = 3.969; w = 0.79 - 0.3969 = 0.3931
    layer = nn.Linear(1, 1, bias=False)
    layer.weight.data.fill_(1.0)
    plan = OptimizerPlan(name="sgd", learning_rate=0.1, weight_decay=0.1, momentum=0.9)
    optimizer = build_optimizer(layer, plan)
    for expected in (0.79, 0.3931):
        layer.weight.grad = torch.full_like(layer.weight, 2.0)
        optimizer.step()
        assert layer.weight.item() == pytest.approx(expected)


def train(net, optimizer, steps, seed=0):
    numbers = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        optimizer.zero_grad()
        net(torch.randn(2, 3, 8, 8, generator=numbers)).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_state_put_back_goes_on_bit_for_bit(name, layout):
    torch.manual_seed(0)
    net = Net().to(memory_format=layout)
    optimizer = build_optimizer(net, plan_of(name))
    train(net, optimizer, 3)
    # As a checkpoint keeps it: contiguous copies.
    weights = {key: value.clone().contiguous() for key, value in net.state_dict().items()}
    state = {key: value.clone().contiguous() for key, value in named_state(optimizer).items()}
    train(net, optimizer, 3, seed=1)

    other = Net().to(memory_format=layout)
    other.load_state_dict(weights)
    again = build_optimizer(other, plan_of(name))
    load_named_state(again, state)
    train(other, again, 3, seed=1)
    for key, value in net.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key
