import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812

from limner.layers.repeated_convolution import convolve_repeated, is_faster_fused


@settings(max_examples=25, deadline=None)
@given(
    batch=st.integers(1, 2),
    channels=st.integers(1, 4),
    out=st.integers(1, 4),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    seed=st.integers(0, 1000),
)
def test_equals_repeating_and_convolving(batch, channels, out, height, width, seed):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(batch, channels, height, width, generator=generator, dtype=torch.float64)
    weight = torch.randn(out, channels, 3, 3, generator=generator, dtype=torch.float64)
    inputs = [tensor.requires_grad_() for tensor in (features, weight)]

    found = convolve_repeated(features, weight)
    expected = F.conv2d(F.interpolate(features, scale_factor=2, mode="nearest"), weight, padding=1)

    torch.testing.assert_close(found, expected)
    noise = torch.randn(found.shape, generator=generator, dtype=torch.float64)
    found_gradients = torch.autograd.grad(found, inputs, noise)
    expected_gradients = torch.autograd.grad(expected, inputs, noise)
    torch.testing.assert_close(found_gradients, expected_gradients)


def test_one_pixel_by_hand():
    # A pixel of 1 becomes 2x2 ones; a kernel of nine ones counts how many it sees: all four, everywhere.
    found = convolve_repeated(torch.ones(1, 1, 1, 1), torch.ones(1, 1, 3, 3))
    assert found.flatten().tolist() == [4.0, 4.0, 4.0, 4.0]
    # A kernel that only looks up: the upper row sees zeros, the lower row the pixel.
    up = torch.zeros(1, 1, 3, 3)
    up[0, 0, 0, 1] = 1
    assert convolve_repeated(torch.ones(1, 1, 1, 1), up).squeeze().tolist() == [[0.0, 0.0], [1.0, 1.0]]


def test_few_pixels_are_repeated_plainly():
    assert not is_faster_fused(torch.zeros(1, 8, 4, 4))
    assert is_faster_fused(torch.zeros(2, 8, 16, 16))
    assert not is_faster_fused(torch.zeros(2, 8, 16, 16, device="meta"))


@pytest.mark.parametrize("channels_last", [False, True])
def test_any_memory_format(channels_last):
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    features = torch.randn(1, 3, 5, 4).to(memory_format=memory_format)
    weight = torch.randn(2, 3, 3, 3).to(memory_format=memory_format)
    expected = F.conv2d(F.interpolate(features, scale_factor=2, mode="nearest"), weight, padding=1)
    torch.testing.assert_close(convolve_repeated(features, weight), expected, atol=1e-5, rtol=1e-4)
