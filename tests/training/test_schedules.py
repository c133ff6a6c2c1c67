import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from limner.core.plan import SchedulePlan
from limner.training.schedules import learning_rate_factor

NAMES = ("constant", "poly", "cosine", "step", "plateau", "one_cycle")


def factor(progress, *, warmup_part=0.0, drops=0, **plan):
    return learning_rate_factor(SchedulePlan(**plan), progress, warmup_part=warmup_part, drops=drops)


def torch_factors(build, steps):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    scheduler = build(optimizer)
    factors = []
    for _ in range(steps):
        factors.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return factors


def test_poly_by_hand():
    # (1 - 0.75) ** 0.5 = 0.5; with a floor of 0.2: 0.2 + 0.8 * 0.5 = 0.6
    assert factor(0.75, name="poly", power=0.5) == pytest.approx(0.5)
    assert factor(0.75, name="poly", power=0.5, final_factor=0.2) == pytest.approx(0.6)


def test_cosine_by_hand():
    # (1 + cos 60 degrees) / 2 = 0.75 after a third of the run
    assert factor(1 / 3, name="cosine") == pytest.approx(0.75)


def test_step_by_hand():
    drops = [factor(p, name="step", milestones=(0.5, 0.75), gamma=0.1) for p in (0.49, 0.5, 0.74, 0.75, 1)]
    assert drops == pytest.approx([1, 0.1, 0.1, 0.01, 0.01])


def test_plateau_counts_drops():
    assert factor(0.9, name="plateau", gamma=0.5, drops=3) == 0.125


def test_warmup_scales_the_curve_linearly():
    # Half-way through a warm-up from 0.1: 0.1 + 0.9 / 2 = 0.55, times 1 - 0.1 of poly with power 1.
    assert factor(0.1, name="poly", power=1, warmup_factor=0.1, warmup_part=0.2) == pytest.approx(0.55 * 0.9)
    assert factor(0.0, name="constant", warmup_factor=0.1, warmup_part=0.2) == pytest.approx(0.1)
    assert factor(0.2, name="constant", warmup_factor=0.1, warmup_part=0.2) == 1


def test_poly_is_torchs():
    steps = 40
    expected = torch_factors(lambda o: torch.optim.lr_scheduler.PolynomialLR(o, steps, power=0.9), steps)
    assert [factor(i / steps, name="poly") for i in range(steps)] == pytest.approx(expected)


def test_cosine_is_torchs():
    steps = 40
    expected = torch_factors(
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, steps, eta_min=0.1), steps
    )
    found = [factor(i / steps, name="cosine", final_factor=0.1) for i in range(steps)]
    assert found == pytest.approx(expected)


def test_one_cycle_is_close_to_torchs():
    # PyTorch ends the rise one step earlier and the fall at its last step: 2 steps of 1000 apart.
    steps = 1000
    expected = torch_factors(
        lambda o: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=1.0, total_steps=steps), steps
    )
    found = [factor(i / steps, name="one_cycle") for i in range(steps)]
    assert found == pytest.approx(expected, abs=0.011)


@given(
    name=st.sampled_from(NAMES),
    progress=st.floats(-1, 2),
    warmup_part=st.floats(0, 1),
    final_factor=st.floats(0, 1),
)
def test_factors_stay_between_0_and_1(name, progress, warmup_part, final_factor):
    found = factor(progress, name=name, warmup_part=warmup_part, final_factor=final_factor)
    assert math.isfinite(found)
    assert 0 <= found <= 1 + 1e-12


@given(name=st.sampled_from(("poly", "cosine", "step")), a=st.floats(0, 1), b=st.floats(0, 1))
def test_falling_curves_fall(name, a, b):
    assert factor(min(a, b), name=name) >= factor(max(a, b), name=name)
