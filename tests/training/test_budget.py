"""A fake clock stands for the machine: steps and validations take the seconds that the test says."""

import pytest

from limner.core.plan import TrainPlan
from limner.training.budget import Budget
from limner.training.run_state import RunState


class Clock:
    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        return self.seconds


def plan(**settings):
    return TrainPlan(**{"steps": 100, "batch_size": 4, "validate_every": 25, "save_every": 25, **settings})


def simulate(plan, *, step_seconds, validation_seconds, first_estimate=1.2, probes=0.1):
    """The loop without a network: returns steps, validations and seconds in all."""
    clock = Clock()
    budget = Budget(plan, clock=clock)
    step, validations, progress, last_validated = 0, 0, budget.progress(0), -1

    def validate():
        started = budget.seconds
        clock.seconds += validation_seconds
        budget.validated(budget.seconds - started)

    while progress < 1:
        clock.seconds += step_seconds
        step += 1
        if budget.wants_estimate:
            slow = first_estimate if step == 1 else 1.2  # an estimate is never quite right
            clock.seconds += validation_seconds * slow * probes
            budget.expect_validation(validation_seconds * slow)
        before, progress = progress, budget.progress(step)
        due = budget.is_due(plan.validate_every, step=step, before=before, after=progress)
        if due and budget.may_validate():
            validate()
            validations, last_validated = validations + 1, step
    if last_validated != step:
        validate()
        validations += 1
    return step, validations, budget.seconds


def test_steps_alone_end_a_run_without_minutes():
    assert simulate(plan(), step_seconds=7.0, validation_seconds=1.0)[:2] == (100, 4)


@pytest.mark.parametrize("step_seconds", [0.05, 0.3, 1.7])
@pytest.mark.parametrize("validation_seconds", [0.1, 3.0, 6.0])
@pytest.mark.parametrize("steps", [10, 400, 5000])
def test_minutes_are_kept_within_a_tenth_whatever_the_estimate_of_steps(
    step_seconds, validation_seconds, steps
):
    budgeted = plan(minutes=2, steps=steps, validate_every=max(steps // 8, 1))
    _, validations, seconds = simulate(
        budgeted, step_seconds=step_seconds, validation_seconds=validation_seconds
    )
    assert 0.9 * 120 <= seconds <= 1.1 * 120
    assert validations >= 1


def test_dear_validations_are_put_off():
    # 15 % of 600 s is 90 s: of 60 validations at 20 s, no more than a handful.
    _, validations, seconds = simulate(
        plan(minutes=10, steps=60, validate_every=1), step_seconds=1.0, validation_seconds=20.0
    )
    assert 2 <= validations <= 6
    assert 540 <= seconds <= 660


def test_time_is_kept_back_for_a_validation_that_was_only_estimated():
    clock = Clock()
    budget = Budget(plan(minutes=1), clock=clock)
    budget.expect_validation(20.0)
    clock.seconds += 20
    assert budget.progress(1) == pytest.approx(20 / 40)
    budget.expect_validation(1000.0)  # dearer than the budget: half of it still goes to training
    clock.seconds += 5  # of the 10 that are left
    assert budget.progress(2) == pytest.approx(0.75)


@pytest.mark.parametrize("first_estimate", [5.0, 30.0, 100.0])
@pytest.mark.parametrize("validation_seconds", [1.0, 4.0])
def test_a_first_estimate_on_a_busy_machine_costs_neither_time_nor_validations(
    first_estimate, validation_seconds
):
    # The machine was up to a hundred times slower while the first validation was estimated.
    budgeted = plan(minutes=3, steps=15, validate_every=3)
    steps, validations, seconds = simulate(
        budgeted,
        step_seconds=1.0,
        validation_seconds=validation_seconds,
        first_estimate=first_estimate,
        probes=0.01,
    )
    assert 0.97 * 180 <= seconds <= 1.03 * 180
    assert validations >= 2
    assert steps * 1.0 + validations * validation_seconds >= 0.95 * 180


@pytest.mark.parametrize("step_seconds", [0.5, 2.0, 5.0])
def test_a_run_ends_within_half_a_step(step_seconds):
    budgeted = plan(minutes=1, steps=50)
    _, _, seconds = simulate(budgeted, step_seconds=step_seconds, validation_seconds=2.0, probes=0.0)
    assert abs(seconds - 60) <= step_seconds / 2 + 0.5


def test_progress_is_even_while_nothing_new_is_known():
    clock = Clock()
    budget = Budget(plan(minutes=1), clock=clock)
    budget.validated(12.0)
    shares = []
    for step in range(1, 48):
        clock.seconds += 1
        shares.append(budget.progress(step))
    assert shares == pytest.approx([step / 48 for step in range(1, 48)])


def test_progress_never_goes_back():
    clock = Clock()
    budget = Budget(plan(minutes=1), clock=clock)
    budget.validated(20.0)  # 40 s are left for training
    clock.seconds += 20
    assert budget.progress(1) == pytest.approx(0.5)
    budget.validated(1.0)  # a faster validation makes more time: 20 / 59, but what is done is done
    assert budget.progress(2) == pytest.approx(0.5)


def test_a_run_that_ended_early_has_ended_also_when_it_is_resumed():
    clock = Clock()
    budget = Budget(plan(minutes=1), clock=clock)
    for step in range(1, 9):
        clock.seconds += 7.2
        progress = budget.progress(step)
    assert progress == 1.0  # at 57.6 s, since a ninth step would end 4.8 s late
    again = Budget(plan(minutes=1), clock=clock)
    again.resume(RunState(step=8, seconds=57.6, progress=1.0))
    assert again.progress(8) == 1.0


def test_a_resumed_run_goes_on_where_it_was():
    clock = Clock()
    budget = Budget(plan(minutes=1), clock=clock)
    budget.resume(RunState(step=10, seconds=20.0, progress=0.4))
    assert budget.progress(10) == pytest.approx(0.4)
    clock.seconds += 10  # a quarter of the 40 s that are left
    assert budget.progress(11) == pytest.approx(0.4 + 0.6 / 4)


def test_a_resumed_run_counts_the_time_before():
    clock = Clock()
    budget = Budget(plan(minutes=1), clock=clock)
    budget.resume(RunState(step=50, seconds=45.0, final_seconds=15.0, validation_seconds=15.0))
    assert budget.progress(50) == 1.0
