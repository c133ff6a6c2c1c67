import pytest
import torch
from torch import nn

from limner.training.averaging import WeightAverage, decay_at


def test_the_decay_rises_to_its_final_value():
    # (1 + n) / (10 + n): 2/11 after one step, 0.9 at n = 80, and then never above the plan's
    assert decay_at(1, 0.99) == pytest.approx(2 / 11)
    assert decay_at(80, 0.99) == pytest.approx(0.9)
    assert decay_at(10_000, 0.99) == 0.99


def test_average_by_hand():
    layer = nn.Linear(1, 1, bias=False)
    layer.weight.data.fill_(0.0)
    average = WeightAverage(layer, decay=0.15)
    layer.weight.data.fill_(1.0)
    average.update(layer, step=1)  # decay min(0.15, 2/11) = 0.15: 0.15 * 0 + 0.85 * 1
    assert average.module.weight.item() == pytest.approx(0.85)
    average.update(layer, step=2)  # 0.15 * 0.85 + 0.85 = 0.9775
    assert average.module.weight.item() == pytest.approx(0.9775)
    assert layer.weight.item() == 1.0


def test_buffers_are_averaged_or_copied_and_the_copy_never_trains():
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    average = WeightAverage(net, decay=0.5)
    net(torch.randn(4, 1, 8, 8) + 3)
    average.update(net, step=100)
    held = average.module[1]
    assert torch.allclose(held.running_mean, net[1].running_mean / 2)  # began at 0
    assert held.num_batches_tracked == 1
    assert not held.training
    assert not any(p.requires_grad for p in average.module.parameters())


def test_the_memory_layout_is_kept():
    net = nn.Conv2d(4, 4, 3).to(memory_format=torch.channels_last)
    average = WeightAverage(net, decay=0.5)
    average.update(net, step=1)
    assert average.module.weight.is_contiguous(memory_format=torch.channels_last)
