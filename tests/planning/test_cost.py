"""The measured cost of networks whose cost is known."""

import time

import pytest
import torch
from torch import nn

from limner.planning.cost import WORKSPACE, _needs_another, measure_cost


class Squares(nn.Module):
    """Two convolutions of which autograd must keep exactly known maps."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 2, 1)

    def forward(self, images):
        return self.second(torch.relu(self.first(images)))


def total(network, images):
    return network(images).sum()


def test_what_autograd_keeps_is_counted_once():
    # float32: the input (3 channels, for the first convolution) and the rectified map (8 channels, kept by
    # relu and by the second convolution, one storage): 11 * 4 = 44 bytes a pixel.
    network = Squares()
    cost = measure_cost(network, total, channels=3)
    assert cost.bytes_per_pixel == pytest.approx(44 * WORKSPACE["float32"])
    assert cost.fixed_bytes == pytest.approx(0)
    assert cost.weight_bytes == 4 * (8 * 27 + 8 + 2 * 8 + 2)
    assert cost.seconds_per_pixel > 0


def test_measuring_changes_no_weight_and_leaves_no_gradient():
    network = Squares()
    before = [p.clone() for p in network.parameters()]
    measure_cost(network, total, channels=3)
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    assert all(p.grad is None for p in network.parameters())


def test_bfloat16_keeps_less():
    full = measure_cost(Squares(), total, channels=3)
    short = measure_cost(Squares(), total, channels=3, precision="bfloat16")
    kept = short.bytes_per_pixel / WORKSPACE["bfloat16"]
    assert kept < full.bytes_per_pixel / WORKSPACE["float32"]


def test_time_that_does_not_grow_with_the_image_is_told_apart():
    class Waiting(Squares):
        def forward(self, images):
            time.sleep(0.2)
            return super().forward(images)

    cost = measure_cost(Waiting(), total, channels=3)
    # 18432 pixels of the larger input; at least 0.3 of its time is taken to grow with the pixels.
    assert cost.seconds_per_step == pytest.approx(0.7 * cost.seconds(18432), rel=0.3)


def test_volumes_are_measured_too():
    network = nn.Conv3d(1, 2, 3, padding=1)
    cost = measure_cost(network, lambda net, images: net(images).sum(), channels=1, spatial_dims=3)
    # The input alone is kept: 1 channel * 4 bytes a voxel.
    assert cost.bytes_per_pixel == pytest.approx(4 * WORKSPACE["float32"])


@pytest.mark.parametrize(
    ("times", "another"),
    [
        ([0.3], True),
        ([0.3, 0.31], False),  # enough time has passed, and they agree
        ([0.6, 0.3], True),  # one of them was disturbed
        ([0.9, 0.3, 0.6], True),
        ([0.9, 0.3, 0.6, 0.31], False),
        ([0.01] * 10, False),
        ([1.5, 0.9], False),  # a slow network on a busy machine
    ],
)
def test_passes_are_timed_until_two_agree(times, another):
    assert _needs_another(times) is another
