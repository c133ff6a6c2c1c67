import math

import pytest
import torch

from limner.core.tuning import RateTest
from limner.training.rate_test import Smoothed, run_rate_test


@pytest.fixture
def case(tiny):
    """A plan, and a test of it on its images with the same first weights each time."""
    plan = tiny.tiny_plan()

    def run(num_steps):
        torch.manual_seed(0)
        return run_rate_test(
            plan,
            train=tiny.datasets()[0],
            network=tiny.TinyNetwork(),
            device="cpu",
            num_steps=num_steps,
            say=pytest.fail,
        )

    return plan, run


def test_the_rate_grows_evenly(case):
    plan, run = case
    found = run(25)
    assert found.rates[0] == 1e-7
    ratios = [b / a for a, b in zip(found.rates, found.rates[1:], strict=False)]
    assert ratios == pytest.approx([10 ** (8 / 24)] * len(ratios))
    assert len(found.losses) == len(found.smoothed) == len(found.rates)
    assert found.planned == plan.optimizer.learning_rate


def test_the_same_plan_gives_the_same_test(case):
    _, run = case
    assert run(6) == run(6)


def test_the_average_is_corrected_for_its_start():
    smoothed = Smoothed()
    for loss in (2.0, 2.0, 4.0):
        smoothed.add(loss)
    # (0.1 * 2 * 0.81 + 0.1 * 2 * 0.9 + 0.1 * 4) / (1 - 0.729) by hand.
    assert smoothed.values == pytest.approx([2.0, 2.0, 0.742 / 0.271])
    assert not smoothed.has_diverged
    smoothed.add(math.inf)
    assert smoothed.has_diverged


def make(smoothed, *, diverged):
    rates = tuple(10.0**i for i in range(-len(smoothed), 0))
    return RateTest(rates, tuple(smoothed), tuple(smoothed), planned=0.1, diverged=diverged)


def test_a_tenth_of_the_rate_of_the_lowest_loss_is_suggested():
    assert make([5, 4, 3, 2, 9], diverged=True).suggestion == pytest.approx(1e-3)  # lowest at 1e-2


def test_nothing_is_suggested_where_the_loss_never_fell_or_never_stopped_falling():
    assert make([1, 2, 3, 4, 5], diverged=True).suggestion is None
    falling = list(range(20, 0, -1))
    assert make(falling, diverged=False).suggestion is None
    assert make(falling, diverged=True).suggestion is not None
