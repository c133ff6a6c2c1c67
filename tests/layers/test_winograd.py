import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F  # noqa: N812

from limner.layers import winograd
from limner.layers.winograd import WideConv2d


@pytest.fixture
def always(monkeypatch):
    monkeypatch.setattr(winograd, "_FEWEST_CHANNELS", 1)
    monkeypatch.setattr(winograd, "_FEWEST_PIXELS", 1)


@settings(max_examples=25, deadline=None)
@given(
    batch=st.integers(1, 2),
    channels=st.integers(1, 3),
    out=st.integers(1, 3),
    down=st.integers(1, 3),
    across=st.integers(1, 3),
    dilation=st.sampled_from([1, 2, 4]),
    seed=st.integers(0, 1000),
)
def test_equals_the_direct_convolution(batch, channels, out, down, across, dilation, seed):
    generator = torch.Generator().manual_seed(seed)
    size = (2 * dilation * down, 2 * dilation * across)
    x = torch.randn(batch, channels, *size, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(out, channels, 3, 3, generator=generator, dtype=torch.float64, requires_grad=True)

    found = winograd._Winograd.apply(x, weight, dilation)
    expected = F.conv2d(x, weight, padding=dilation, dilation=dilation)

    torch.testing.assert_close(found, expected)
    noise = torch.randn(found.shape, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(
        torch.autograd.grad(found, (x, weight), noise), torch.autograd.grad(expected, (x, weight), noise)
    )


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_wide_layer_agrees_with_pytorch_in_float32(dilation, memory_format):
    torch.manual_seed(0)
    ours = WideConv2d(256, 256, 3, padding=dilation, dilation=dilation, bias=False)
    reference = nn.Conv2d(256, 256, 3, padding=dilation, dilation=dilation, bias=False)
    reference.load_state_dict(ours.state_dict())
    x = torch.randn(1, 256, 32, 32).to(memory_format=memory_format)
    assert ours._pays(x)
    found, expected = ours(x), reference(x)
    assert not torch.equal(found, expected)  # another algorithm did it ...
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)  # ... to the same end
    found.square().sum().backward()
    expected.square().sum().backward()
    assert (ours.weight.grad - reference.weight.grad).norm() < 1e-5 * reference.weight.grad.norm()


@pytest.mark.parametrize(
    ("shape", "reason"),
    [((1, 4, 5, 8), "odd height"), ((1, 4, 8, 6), "not a multiple of twice the dilation")],
)
def test_what_does_not_fit_goes_the_direct_way(always, shape, reason):
    layer = WideConv2d(4, 4, 3, padding=2, dilation=2, bias=False)
    assert not layer._pays(torch.zeros(shape)), reason
    assert layer._pays(torch.zeros(1, 4, 8, 8))


def test_evaluation_and_bfloat16_go_the_direct_way(always):
    layer, x = WideConv2d(4, 4, 3, padding=1, bias=False), torch.zeros(1, 4, 8, 8)
    with torch.no_grad():
        assert not layer._pays(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert not layer._pays(x)


def test_second_derivatives_are_refused_rather_than_wrong(always):
    layer, x = WideConv2d(2, 2, 3, padding=1, bias=False), torch.randn(1, 2, 4, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()
