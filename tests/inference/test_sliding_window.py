import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from limner.inference.sliding_window import (
    pad_by_reflection,
    sliding_window,
    window_starts,
    window_weights,
)

geometry = st.tuples(st.integers(1, 60), st.integers(0, 300), st.floats(0, 0.95)).map(
    lambda g: (g[0] + g[1], g[0], g[2])
)


@given(geometry)
def test_windows_cover_the_axis_and_overlap_enough(case):
    size, window, overlap = case
    starts = window_starts(size, window, overlap)
    assert starts[0] == 0 and starts[-1] == size - window
    assert starts == sorted(set(starts))
    stride = max(1, int(window * (1 - overlap)))
    assert all(after - before <= stride for before, after in itertools.pairwise(starts))


@given(geometry)
def test_weights_sum_to_one_at_each_pixel(case):
    size, window, overlap = case
    starts = window_starts(size, window, overlap)
    total = np.zeros(size)
    for start, weights in zip(starts, window_weights(size, window, starts).numpy(), strict=True):
        assert (weights > 0).all()
        total[start : start + window] += weights
    np.testing.assert_allclose(total, 1, rtol=1e-5)


def test_starts_by_hand():
    # 10 pixels in windows of 4 that overlap by half: stride 2, so (10 - 4) / 2 = 3 steps
    assert window_starts(10, 4, 0.5) == [0, 2, 4, 6]
    # 11 pixels: 3.5 steps become 4, spread evenly over 7: 0, 1.75, 3.5, 5.25, 7
    assert window_starts(11, 4, 0.5) == [0, 2, 4, 5, 7]
    assert window_starts(4, 4, 0.5) == [0]


def collect(bands, size):
    """Put the bands together, looking that they follow one another."""
    bands = list(bands)
    assert [rows.start for rows, _ in bands] == [0, *(rows.stop for rows, _ in bands)][:-1]
    assert bands[-1][0].stop == size[0]
    assert all(part.shape[2] == rows.stop - rows.start for rows, part in bands)
    return torch.cat([part for _, part in bands], 2)


@pytest.mark.parametrize("size", [(50, 41), (20, 50), (50, 11), (7, 9), (1, 1), (16, 16), (19, 17, 23)])
@pytest.mark.parametrize(("overlap", "at_once"), [(0.0, 1), (0.25, 3), (0.6, 100)])
def test_a_network_that_looks_at_single_pixels_gives_what_it_gives_on_the_whole(size, overlap, at_once):
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    mix = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))

    def network(windows):
        assert windows.shape[0] <= 2 * at_once and windows.shape[2:] == (16,) * len(size)
        return torch.einsum("kc,bc...->bk...", mix, windows)

    bands = sliding_window(
        network, images, window=(16,) * len(size), overlap=overlap, windows_at_once=at_once
    )
    torch.testing.assert_close(collect(bands, size), network_on_whole(mix, images))


def network_on_whole(mix, images):
    return torch.einsum("kc,bc...->bk...", mix, images)


def test_one_window_is_the_whole_image_bit_for_bit():
    images = torch.randn(1, 2, 24, 30, generator=torch.Generator().manual_seed(0))
    network = torch.nn.Conv2d(2, 3, 5, padding=2)
    with torch.no_grad():
        ((rows, scores),) = sliding_window(network, images, window=(24, 30), overlap=0.5)
        assert rows == slice(0, 24)
        assert torch.equal(scores, network(images))


def test_blending_equals_a_plain_weighted_average():
    """Sum of weight times score over sum of weights, over all windows: nothing clever."""
    images = torch.randn(1, 2, 30, 26, generator=torch.Generator().manual_seed(0))
    network = torch.nn.Conv2d(2, 3, 3, padding=1)
    weight = np.exp(-0.5 * ((np.arange(12) - 5.5) / 1.5) ** 2)  # sigma = 12 / 8
    weight = torch.tensor(np.outer(weight, weight), dtype=torch.float64)
    total, norm = torch.zeros(1, 3, 30, 26, dtype=torch.float64), torch.zeros(30, 26, dtype=torch.float64)
    with torch.no_grad():
        for y, x in itertools.product(window_starts(30, 12, 0.4), window_starts(26, 12, 0.4)):
            place = np.s_[..., y : y + 12, x : x + 12]
            total[place] += network(images[place]).double() * weight
            norm[place] += weight
        bands = sliding_window(network, images, window=(12, 12), overlap=0.4, windows_at_once=2)
        torch.testing.assert_close(collect(bands, (30, 26)).double(), total / norm, atol=1e-5, rtol=1e-5)


@given(st.integers(2, 9), st.integers(2, 9), st.integers(1, 40), st.integers(1, 40))
def test_padding_equals_numpys_reflection(height, width, tall, wide):
    image = np.random.default_rng(0).integers(0, 99, (1, 1, height, width))
    padded = pad_by_reflection(torch.from_numpy(image), (tall, wide)).numpy()
    grow = [max(0, tall - height), max(0, wide - width)]
    pads = [(0, 0), (0, 0), *[(g // 2, g - g // 2) for g in grow]]
    np.testing.assert_array_equal(padded, np.pad(image, pads, mode="reflect"))


def test_an_axis_of_one_pixel_is_repeated():
    padded = pad_by_reflection(torch.full((1, 1, 1, 1), 7), (3, 5))
    assert padded.shape == (1, 1, 3, 5) and (padded == 7).all()
