import colorsys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.core.randomness import generator
from limner.core.sample import Sample
from limner.transforms.photometric import LUMA, Photometric, PhotometricParams, colour_matrix

ALL = Photometric(brightness=0.125, contrast=0.5, saturation=0.5, hue=0.05)


def changed(image, **params):
    return ALL.apply(Sample("x", image), PhotometricParams(**params)).image


def test_gain_and_shift_by_hand():
    image = np.array([0, 10, 100, 200, 255], np.uint8).reshape(1, 5, 1)
    # 1.5 * v - 20, rounded, kept in 0..255.
    assert changed(image, gain=1.5, shift=-20).ravel().tolist() == [0, 0, 130, 255, 255]


@pytest.mark.parametrize("channels", [1, 2, 3, 5, 12, 200])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64, np.int16])
def test_gain_and_shift_treat_all_channels_and_types_alike(channels, dtype):
    image = np.random.default_rng(0).integers(0, 256, (7, 9, channels)).astype(dtype)
    expected = image.astype(np.float64) * 1.25 + 3
    if np.issubdtype(dtype, np.integer):
        expected = np.clip(expected, np.iinfo(dtype).min, np.iinfo(dtype).max)
    ours = changed(image, gain=1.25, shift=3.0)
    assert ours.dtype == dtype
    assert ours.shape == image.shape
    assert np.abs(ours - expected).max() <= 0.5


def test_black_stays_where_it_is():
    # Hounsfield units: air at -1000 keeps its value, 0 moves to -1000 + 1.2 * 1000 = 200.
    image = np.array([-1000, 0], np.float32).reshape(1, 2, 1)
    assert changed(image, gain=1.2, black=-1000.0).ravel() == pytest.approx([-1000, 200], abs=1e-3)


@settings(max_examples=50, deadline=None)
@given(saturation=st.floats(0, 2), hue=st.floats(-0.5, 0.5), grey=st.floats(0, 1))
def test_saturation_and_hue_keep_grey_and_luma(saturation, hue, grey):
    matrix = colour_matrix(saturation, hue)
    assert matrix @ np.full(3, grey) == pytest.approx(np.full(3, grey), abs=1e-3)
    colour = np.array([0.9, 0.2, 0.4])
    assert LUMA @ (matrix @ colour) == pytest.approx(LUMA @ colour, abs=1e-9)


def test_no_saturation_is_grey():
    colour = np.array([0.9, 0.2, 0.4])
    assert colour_matrix(0, 0) @ colour == pytest.approx(np.full(3, LUMA @ colour), abs=1e-3)


def test_a_third_of_a_turn_moves_red_towards_one_of_the_other_primaries():
    # In HSV exactly, in YIQ closely: an independent reference for the sense of the turn.
    turned = colour_matrix(1, 1 / 12) @ np.array([0.6, 0.4, 0.4])
    hue, _, _ = colorsys.rgb_to_hsv(*turned)
    assert min(hue, 1 - hue) == pytest.approx(1 / 12, abs=0.035)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_one_pass_is_the_matrix(dtype):
    image = np.random.default_rng(0).integers(0, 256, (16, 17, 3)).astype(dtype)
    params = PhotometricParams(gain=1.2, shift=-10, saturation=0.6, hue=0.04)
    expected = image.astype(np.float64) @ (1.2 * colour_matrix(0.6, 0.04)).T - 10
    if dtype != np.float32:
        expected = np.clip(np.rint(expected), 0, np.iinfo(dtype).max)
    # OpenCV's uint8 pass has 10 bits of fraction: now and then it rounds the other way.
    assert np.abs(ALL.apply(Sample("x", image), params).image - expected).max() <= 1


def test_each_change_comes_half_of_the_time_and_within_its_bounds():
    sample = Sample("x", np.zeros((2, 2, 3), np.uint8))
    drawn = [ALL.draw(generator(0, "photometric", i), sample) for i in range(2000)]
    for values, low, high, idle in [
        ([p.shift for p in drawn], -0.125 * 255, 0.125 * 255, 0),
        ([p.gain for p in drawn], 0.5, 1.5, 1),
        ([p.saturation for p in drawn], 0.5, 1.5, 1),
        ([p.hue for p in drawn], -0.05, 0.05, 0),
    ]:
        assert low <= min(values) < low + 0.02 * (high - low)
        assert high >= max(values) > high - 0.02 * (high - low)
        # 2000 * 1/2 = 1000, standard deviation 22.
        assert values.count(idle) == pytest.approx(1000, abs=110)


def test_colour_is_left_alone_without_three_channels():
    params = ALL.draw(generator(0, "p"), Sample("x", np.zeros((2, 2, 4), np.uint8)))
    assert (params.saturation, params.hue) == (1, 0)


def test_uint16_shifts_by_what_the_image_spans():
    # 12 bits in uint16: the shift is a part of 4095, not of 65535.
    sample = Sample("x", np.array([0, 4095], np.uint16).reshape(1, 2, 1))
    shifts = [ALL.draw(generator(0, "p", i), sample).shift for i in range(500)]
    assert 480 < max(shifts) <= 0.125 * 4095


def test_nothing_drawn_is_the_sample_itself():
    sample = Sample("x", np.zeros((2, 2, 3), np.uint8))
    assert ALL.apply(sample, PhotometricParams()) is sample
