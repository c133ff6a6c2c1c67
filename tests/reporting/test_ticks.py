import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.reporting.ticks import decades, nice_ticks, smooth, thin

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 1, (0, 0.2, 0.4, 0.6, 0.8, 1)),
        (0.23, 0.95, (0.2, 0.4, 0.6, 0.8, 1)),
        (0, 620, (0, 200, 400, 600, 800)),
        (0, 0.27, (0, 0.1, 0.2, 0.3)),
        (0, 0, (0, 0.2, 0.4, 0.6, 0.8, 1)),
    ],
)
def test_ticks_are_the_round_numbers_one_would_choose(low, high, ticks):
    assert nice_ticks(low, high) == pytest.approx(ticks)


@given(NUMBERS, NUMBERS)
def test_ticks_enclose_the_values_evenly_and_are_few(a, b):
    low, high = min(a, b), max(a, b)
    ticks = nice_ticks(low, high)
    slack = 1e-8 * max(abs(low), abs(high))
    assert 2 <= len(ticks) <= 6
    assert ticks[0] <= low + slack and ticks[-1] >= high - slack
    gaps = [y - x for x, y in zip(ticks, ticks[1:], strict=False)]
    assert all(gap > 0 for gap in gaps)
    assert max(gaps) - min(gaps) <= 1e-6 * max(gaps) + slack


def test_decades_enclose():
    assert decades(0.003, 12) == pytest.approx((0.001, 0.01, 0.1, 1, 10, 100))
    assert decades(1, 1) == pytest.approx((1, 10))


def test_smooth_by_hand():
    # weight 0.5: totals 0.5*1 = 0.5, then 0.25 + 0.5*3 = 1.75; norms 0.5, 0.75; quotients 1 and 7/3.
    assert smooth([1, 3], 0.5) == pytest.approx([1, 7 / 3])


def test_smooth_passes_over_what_is_not_finite():
    smoothed = smooth([math.nan, 2, math.inf, 2], 0.5)
    assert math.isnan(smoothed[0])
    assert smoothed[1:] == pytest.approx([2, 2, 2])


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=400), st.integers(8, 60))
def test_thinning_keeps_ends_and_extremes(values, most):
    kept = thin(values, most)
    assert kept == sorted(set(kept)) and len(kept) <= max(most, 2)
    assert kept[0] == 0 and kept[-1] == len(values) - 1
    assert max(values[i] for i in kept) == max(values)
    assert min(values[i] for i in kept) == min(values)
