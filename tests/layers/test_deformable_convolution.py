import pytest
import torch
from torch import nn

from limner.layers.deformable_convolution import DeformableConv2d

pytest.importorskip("torchvision", reason="torchvision is not installed")


def layer(stride=1):
    torch.manual_seed(0)
    replaced = nn.Conv2d(4, 6, 3, stride=stride, padding=1, bias=False)
    return replaced, DeformableConv2d(replaced)


@pytest.mark.parametrize("stride", [1, 2])
def test_at_first_it_is_half_of_the_convolution_that_it_replaces(stride):
    replaced, deformable = layer(stride)
    images = torch.randn(2, 4, 9, 11)
    torch.testing.assert_close(deformable(images), replaced(images) / 2)
    assert deformable.weight is replaced.weight


def test_taps_are_taken_where_the_offsets_point():
    replaced, deformable = layer()
    # The first of each pair is down, as torchvision has it: all taps are one pixel below, with full weight.
    with torch.no_grad():
        bias = torch.zeros(27)
        bias[:18:2], bias[18:] = 1.0, 100.0
        deformable.offset.bias.copy_(bias)
    images = torch.randn(1, 4, 9, 11)
    torch.testing.assert_close(deformable(images)[..., :-2, :], replaced(images)[..., 1:-1, :])


def test_offsets_learn():
    _, deformable = layer()
    images = torch.randn(1, 4, 8, 8)
    (deformable(images) * torch.randn(1, 6, 8, 8)).sum().backward()
    assert deformable.offset.weight.grad.abs().sum() > 0
