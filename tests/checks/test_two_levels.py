import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.checks.two_levels import is_two_levels, middle_level, threshold_between


def test_two_exact_levels_are_cut_in_the_middle():
    assert threshold_between({0: 900, 255: 100}) == 127  # (0 + 255) // 2


def test_a_valley_away_from_the_middle_is_found():
    # Levels 100..180 are common; the gap lies at 40..60.
    counts = {0: 10_000, 255: 3_000} | dict.fromkeys(range(100, 181), 10)
    assert 17 <= threshold_between(counts) < 100


def test_class_numbers_have_no_threshold():
    assert threshold_between({0: 50, 1: 20, 10: 30}) is None


def test_grey_pictures_have_no_threshold():
    assert threshold_between(dict.fromkeys(range(256), 10)) is None


def test_sixteen_bits():
    assert threshold_between({0: 500, 65535: 500}) == 32767


@pytest.mark.parametrize("values", [[0, 90, 130, 255], [0, 3, 253, 255]])
def test_values_that_tell_of_two_levels(values):
    assert is_two_levels(values)


@pytest.mark.parametrize("values", [[*range(21), 255], range(151), [0, 1, 2, 254, 255], [0, 128, 255]])
def test_values_that_may_be_class_numbers(values):
    assert not is_two_levels(values)


@given(st.integers(0, 12), st.integers(0, 12), st.floats(0.01, 0.99), st.integers(0, 99))
def test_noise_around_two_levels_is_always_parted(low_noise, high_noise, share, seed):
    rng = np.random.default_rng(seed)
    black = np.clip(rng.normal(0, low_noise / 3, round(10_000 * (1 - share))), 0, 15).astype(int)
    white = 255 - np.clip(rng.normal(0, high_noise / 3, round(10_000 * share)), 0, 15).astype(int)
    values, counts = np.unique(np.concatenate([black, white]), return_counts=True)
    threshold = threshold_between(dict(zip(values.tolist(), counts.tolist(), strict=True)))
    assert black.max(initial=0) <= threshold < white.min(initial=255)


@pytest.mark.parametrize("counts", [{}, {300000: 5, 0: 5}, {-1: 3, 255: 3}])
def test_what_is_no_histogram_of_grey(counts):
    assert threshold_between(counts) is None


@pytest.mark.parametrize("white", [200, 255])
def test_three_levels_are_seen_although_compression_goes_beyond_white(white):
    """Classes drawn with 0, 100 and `white`, as JPEG leaves them: up to 14 greys from each level."""
    counts = {
        level + shift: pixels // (1 + shift * shift)
        for level, pixels in ((0, 8000), (100, 300))
        for shift in range(14)
    }
    counts |= {
        white + shift: 600 // (1 + shift * shift) for shift in range(-14, 256 - white if white > 241 else 15)
    }
    counts |= dict.fromkeys((40, 60, 150, 170), 2)  # here and there at edges
    assert middle_level(counts) == 100
    del counts[100]
    without = {value: n for value, n in counts.items() if not 100 <= value < 114}
    assert middle_level(without) is None
