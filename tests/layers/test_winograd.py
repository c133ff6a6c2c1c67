"""Winograd's convolutions give the maps and gradients of direct ones in float64, and change nothing else."""

import copy

import pytest
import torch
from torch import nn

from limner.layers import winograd
from limner.layers.winograd import WinogradConv2d, use_winograd
from limner.networks import build_network

# Of float32, against the standard deviation of the result.
TOLERANCE = 2e-4


@pytest.fixture(autouse=True)
def _small_layers_take_part(monkeypatch):
    monkeypatch.setattr(winograd, "MIN_CHANNELS", 2)
    monkeypatch.setattr(winograd, "MIN_OUT_CHANNELS", 2)
    monkeypatch.setattr(winograd, "MIN_PIXELS", 1)


def direct_and_fast(in_channels=24, out_channels=20, dilation=1):
    torch.manual_seed(0)
    direct = nn.Conv2d(in_channels, out_channels, 3, padding=dilation, dilation=dilation)
    fast = copy.deepcopy(direct)
    assert use_winograd(fast) == 1
    return direct.double(), fast


def assert_close(found, expected):
    assert (found - expected).abs().max() < TOLERANCE * expected.std()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("strip_bytes", [12 * 2**20, 200_000, 1])
@pytest.mark.parametrize(
    ("size", "dilation"), [((16, 16), 1), ((19, 30), 1), ((33, 29), 2), ((32, 16), 4), ((7, 8), 2)]
)
def test_maps_and_gradients_are_those_of_the_direct_convolution(
    size, dilation, strip_bytes, layout, monkeypatch
):
    monkeypatch.setattr(winograd, "STRIP_BYTES", strip_bytes)
    monkeypatch.setattr(winograd, "MAX_WASTE", 9)
    direct, fast = direct_and_fast(dilation=dilation)
    images = torch.randn(3, 24, *size, dtype=torch.float64, requires_grad=True)
    same = images.detach().float().to(memory_format=layout).requires_grad_()
    expected, found = direct(images), fast(same)
    assert found.is_contiguous(memory_format=layout)
    gradient = torch.randn_like(expected)
    expected.backward(gradient)
    found.backward(gradient.float())
    assert_close(found, expected)
    assert_close(same.grad, images.grad)
    assert_close(fast.weight.grad, direct.weight.grad)
    assert_close(fast.bias.grad, direct.bias.grad)


def test_what_needs_no_gradient_gets_none():
    _, fast = direct_and_fast()
    fast(torch.randn(1, 24, 16, 16)).sum().backward()
    assert fast.weight.grad is not None
    fast.weight.requires_grad_(False)
    fast.weight.grad = None
    images = torch.randn(1, 24, 16, 16, requires_grad=True)
    fast(images).sum().backward()
    assert fast.weight.grad is None
    assert images.grad is not None


def test_evaluation_is_untouched():
    direct, fast = direct_and_fast()
    images = torch.randn(2, 24, 16, 16)
    assert torch.equal(fast.eval()(images), direct.float()(images))
    assert list(fast.state_dict()) == list(direct.state_dict())


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3, "padding": 1, "stride": 2},
        {"kernel_size": 3, "padding": 1, "groups": 2},
        {"kernel_size": 3, "padding": 0},
        {"kernel_size": 3, "padding": 1, "padding_mode": "reflect"},
        {"kernel_size": 1},
        {"kernel_size": 5, "padding": 2},
    ],
)
def test_other_convolutions_are_left_alone(options):
    assert use_winograd(nn.Conv2d(24, 24, **options)) == 0


def test_narrow_layers_and_small_maps_go_the_direct_way(monkeypatch):
    monkeypatch.setattr(winograd, "MIN_CHANNELS", 80)
    assert use_winograd(nn.Conv2d(128, 128, 3, padding=1)) == 0
    monkeypatch.setattr(winograd, "MIN_OUT_CHANNELS", 160)
    assert use_winograd(nn.Conv2d(1024, 128, 3, padding=1)) == 0
    assert use_winograd(nn.Conv2d(128, 1024, 3, padding=1)) == 1
    monkeypatch.setattr(winograd, "MIN_OUT_CHANNELS", 2)
    monkeypatch.setattr(winograd, "MIN_CHANNELS", 2)
    monkeypatch.setattr(winograd, "MIN_PIXELS", 2048)
    direct, fast = direct_and_fast()
    images = torch.randn(2, 24, 16, 16)
    assert torch.equal(fast(images), direct.float()(images))


def test_reduced_precision_goes_the_direct_way():
    _, fast = direct_and_fast()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert fast(torch.randn(2, 24, 16, 16)).dtype == torch.bfloat16


def test_a_network_learns_the_same():
    torch.manual_seed(0)
    direct = build_network("unet", num_classes=3, widths=(8, 16, 32, 32, 32)).train()
    fast = copy.deepcopy(direct)
    assert use_winograd(fast) >= 10
    assert any(isinstance(layer, WinogradConv2d) for layer in copy.deepcopy(fast).modules())
    images = torch.randn(2, 3, 64, 64)
    for network in (direct, fast):
        network(images).logits.square().mean().backward()
    for (name, one), other in zip(direct.named_parameters(), fast.parameters(), strict=True):
        # Gradients that are zero but for rounding, of biases before a normalisation, say nothing.
        if one.grad.abs().max() > 1e-6:
            assert (one.grad - other.grad).norm() < 1e-3 * one.grad.norm(), name
