import itertools
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from limner.inference.sliding_window import (
    pad_by_reflection,
    pad_with,
    sliding_window,
)
from limner.inference.window_grid import window_starts, window_weights

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
    for start, weights in zip(starts, window_weights(size, window, starts), strict=True):
        assert (weights > 0).all()
        total[start : start + window] += weights
    np.testing.assert_allclose(total, 1, rtol=1e-5)


def test_starts_by_hand():
    # 10 pixels in windows of 4 that overlap by half: stride 2, so (10 - 4) / 2 = 3 steps
    assert window_starts(10, 4, 0.5) == [0, 2, 4, 6]
    # 11 pixels: 3.5 steps become 4, spread evenly over 7: 0, 1.75, 3.5, 5.25, 7
    assert window_starts(11, 4, 0.5) == [0, 2, 4, 5, 7]
    assert window_starts(4, 4, 0.5) == [0]


def collect(parts, size):
    """Put the parts together, checking that they cover each pixel once."""
    whole, times = None, torch.zeros(size)
    for box, part in parts:
        assert part.shape[2:] == torch.Size([side.stop - side.start for side in box])
        whole = part.new_empty((*part.shape[:2], *size)) if whole is None else whole
        whole[(..., *box)] = part
        times[box] += 1
    assert (times == 1).all()
    return whole


@pytest.mark.parametrize("size", [(50, 41), (20, 50), (50, 11), (7, 9), (1, 1), (16, 16), (19, 17, 23)])
@pytest.mark.parametrize(("overlap", "at_once"), [(0.0, 1), (0.25, 3), (0.6, 100), (0.8, 2)])
@pytest.mark.parametrize("axis", [0, -1])
def test_a_network_that_looks_at_single_pixels_gives_what_it_gives_on_the_whole(size, overlap, at_once, axis):
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    mix = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))

    def network(windows):
        assert windows.shape[0] <= 2 * at_once and windows.shape[2:] == (16,) * len(size)
        return torch.einsum("kc,bc...->bk...", mix, windows)

    parts = sliding_window(
        network,
        images,
        window=(16,) * len(size),
        overlap=overlap,
        windows_at_once=at_once,
        axis=axis % len(size),
    )
    torch.testing.assert_close(collect(parts, size), network_on_whole(mix, images))


def network_on_whole(mix, images):
    return torch.einsum("kc,bc...->bk...", mix, images)


def test_one_window_is_the_whole_image_bit_for_bit():
    images = torch.randn(1, 2, 24, 30, generator=torch.Generator().manual_seed(0))
    network = torch.nn.Conv2d(2, 3, 5, padding=2)
    with torch.no_grad():
        ((box, scores),) = sliding_window(network, images, window=(24, 30), overlap=0.5)
        assert box == (slice(0, 24), slice(0, 30))
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
        parts = sliding_window(network, images, window=(12, 12), overlap=0.4, windows_at_once=2)
        torch.testing.assert_close(collect(parts, (30, 26)).double(), total / norm, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.7])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_volumes_are_blended_as_by_a_plain_weighted_average(overlap, axis):
    size, window = (17, 23, 14), (8, 9, 6)
    images = torch.randn(1, 1, *size, generator=torch.Generator().manual_seed(0))
    network = torch.nn.Conv3d(1, 3, 3, padding=1)
    sides = [np.exp(-0.5 * ((np.arange(w) - (w - 1) / 2) / (w / 8)) ** 2) for w in window]
    weight = torch.tensor(np.einsum("i,j,k->ijk", *sides))
    total, norm = torch.zeros(1, 3, *size, dtype=torch.float64), torch.zeros(size, dtype=torch.float64)
    with torch.no_grad():
        grid = (window_starts(s, w, overlap) for s, w in zip(size, window, strict=True))
        for z, y, x in itertools.product(*grid):
            place = np.s_[..., z : z + 8, y : y + 9, x : x + 6]
            total[place] += network(images[place]).double() * weight
            norm[place] += weight
        parts = sliding_window(network, images, window=window, overlap=overlap, axis=axis)
        torch.testing.assert_close(collect(parts, size).double(), total / norm, atol=1e-5, rtol=1e-5)


def test_only_a_part_of_the_scores_is_held(monkeypatch):
    """Of 64 rows with windows of 16 that overlap by half, 8 wait for later windows, whatever the height."""
    held, original = [], torch.Tensor.new_empty

    def new_empty(tensor, *shape):
        held.append(original(tensor, *shape))
        return held[-1]

    monkeypatch.setattr(torch.Tensor, "new_empty", new_empty)
    images = torch.rand(1, 1, 64, 32, 32)
    network = partial(torch.Tensor.repeat, repeats=(1, 5, 1, 1, 1))
    for _ in sliding_window(network, images, window=(16, 16, 16), overlap=0.5):
        pass
    # Of 5 classes: along the outermost axis, half a window by all by all; and less along the others.
    assert [some.numel() for some in held] == [5 * 16 * 16 * 8, 5 * 16 * 8 * 32, 5 * 8 * 32 * 32]


def test_windows_of_one_value_are_run_once_for_each_value():
    images = torch.zeros(1, 1, 24, 24)
    images[..., :8] = torch.rand(24, 8, generator=torch.Generator().manual_seed(0))
    images[..., 16:, 16:] = 3.0
    runs = []

    def network(windows):
        runs.append(len(windows))
        return torch.cat([windows, 2 - windows], 1)

    for at_once in (1, 4):
        runs.clear()
        parts = sliding_window(network, images, window=(8, 8), overlap=0, windows_at_once=at_once)
        torch.testing.assert_close(collect(parts, (24, 24)), torch.cat([images, 2 - images], 1))
        # Three windows differ; of the six others one shows 3, the last, and of those with 0 one is run.
        assert sum(runs) == 3 + 2


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


def test_padding_with_a_value_of_each_channel():
    images = torch.ones(1, 2, 2, 5)
    padded = pad_with(images, (5, 4), (7.0, -1.0))
    # Three rows are lacking: one before, two after.
    assert padded.shape == (1, 2, 5, 5)
    assert padded[0, :, :, 0].tolist() == [[7, 1, 1, 7, 7], [-1, 1, 1, -1, -1]]
    assert pad_with(images, (2, 3), (0.0, 0.0)) is images


def test_the_network_sees_the_padding_and_its_scores_are_cropped():
    images = torch.arange(6.0).view(1, 1, 2, 3)
    seen = []

    def network(part):
        seen.append(part)
        return part.clone()

    ((box, scores),) = sliding_window(network, images, window=(4, 4), overlap=0.5, fill=(-1.0,))
    assert seen[0][0, 0].tolist() == [[-1] * 4, [0, 1, 2, -1], [3, 4, 5, -1], [-1] * 4]
    torch.testing.assert_close(scores, images)
    assert box == (slice(0, 2), slice(0, 3))
