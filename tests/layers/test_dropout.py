"""Dropout on a CPU: rates, gradients, and what it leaves to PyTorch."""

import pytest
import torch

from limner.layers.dropout import Dropout


def dropped(x, rate, *, seed=0):
    torch.manual_seed(seed)
    return Dropout(rate).train()(x)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_values_are_zero_at_the_rate_and_scaled_otherwise(rate):
    x = torch.ones(1001, 333)
    found = dropped(x, rate)
    kept = found != 0
    deviation = (rate * (1 - rate) / x.numel()) ** 0.5
    assert abs(kept.float().mean().item() - (1 - rate)) < 5 * deviation
    torch.testing.assert_close(found[kept], torch.full_like(found[kept], 1 / (1 - rate)), rtol=1e-4, atol=0)


def test_neighbours_are_independent():
    """One random number decides about four values."""
    kept = dropped(torch.ones(250_000, 4), 0.5) != 0
    pairs = torch.corrcoef(kept.T.float()) - torch.eye(4)
    assert pairs.abs().max() < 0.01


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_gradients_follow_the_mask(dtype):
    x = torch.randn(7, 5, dtype=dtype, requires_grad=True)
    found = dropped(x, 0.4)
    found.backward(torch.full_like(found, 2.0))
    factor = torch.where(found == 0, torch.zeros_like(x), torch.full_like(x, 2 / 0.6))
    assert found.dtype == x.grad.dtype == dtype
    torch.testing.assert_close(x.grad, factor, rtol=1e-2, atol=0)


def test_the_generator_decides():
    x = torch.randn(33, 3)
    assert torch.equal(dropped(x, 0.3), dropped(x, 0.3))
    assert not torch.equal(dropped(x, 0.3), dropped(x, 0.3, seed=1))


@pytest.mark.parametrize(("rate", "expected"), [(0.0, 1.0), (1.0, 0.0)])
def test_the_rates_without_chance(rate, expected):
    assert torch.equal(dropped(torch.ones(4, 4), rate), torch.full((4, 4), expected))


def test_nothing_is_dropped_in_prediction():
    x = torch.randn(4, 4)
    assert Dropout(0.5).eval()(x) is x


def test_little_is_kept_for_the_backward_pass():
    kept = []
    x = torch.randn(100, 100, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.nbytes) or t, lambda t: t):
        dropped(x, 0.5)
    assert sum(kept) == x.numel()  # a byte for a value of four
