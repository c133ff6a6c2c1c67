"""Length of a run: a number of steps, or minutes of wall-clock time for the whole schedule."""

import time
from collections.abc import Callable

from limner.core.plan import TrainPlan
from limner.training.run_state import RunState

VALIDATION_SHARE = 0.08
"""With a time budget, validations are postponed if they would use a larger fraction of it than this."""


LAST_STRETCH = 4
"""With a time budget, no validation starts if less than this many times its duration is left."""

ESTIMATES = 5
"""With a time budget, how often at most the time of a validation is estimated, evenly over the run."""

LARGE_RESERVE = 0.03
"""Fraction of a time budget; only if more is reserved for the last validation is it estimated again."""


class Budget:
    """Tracks the progress of a run, and when validation or saving is due.

    With minutes, each second is worth the same part of what is left of the run: the budget minus the time
    reserved for the last validation. As long as the reserve is unchanged, progress is thus proportional to
    time; when a new measurement changes the reserve, the rest of the schedule stretches or shrinks with it.
    Actions "every N steps" happen as often in the run as with the plan's estimated number of steps, at any
    actual speed.
    """

    def __init__(self, plan: TrainPlan, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._plan = plan
        self._clock = clock
        self._started = clock()
        self._progress = 0.0
        self._counted = 0.0  # seconds that are part of the progress
        self._measured: float | None = None  # seconds when `final_seconds` was measured or estimated
        self.final_seconds = 0.0
        """Time of one validation as last measured or estimated, reserved for the last one."""
        self.validation_seconds = 0.0
        """Time of all validations so far."""

    @property
    def is_timed(self) -> bool:
        """Whether time instead of the number of steps ends the run."""
        return self._plan.minutes is not None

    @property
    def seconds(self) -> float:
        """Seconds of training so far, including those before a resume."""
        return self._clock() - self._started

    def progress(self, step: int) -> float:
        """Return the fraction of the run that is done after `step` steps, in [0, 1]; it never decreases."""
        if self._plan.minutes is None:
            return min(step / self._plan.steps, 1.0)
        now = self.seconds
        passed = now - self._counted
        left = self._plan.minutes * 60 - self.final_seconds - now
        last_step = now - max(self._counted, self._measured or 0.0)
        # The next step may end half of it too late, or this one half of it too early.
        done = 1.0 if left <= last_step / 2 else passed / (passed + left)
        self._progress += (1 - self._progress) * done
        self._counted = now
        return self._progress

    def resume(self, state: RunState) -> None:
        """Restore the time and the progress of a run, which stays at its end if it was there."""
        self._started = self._clock() - state.seconds
        self._progress = state.progress
        self._counted = state.seconds if state.progress else 0.0
        self._measured = state.seconds if state.step else None
        self.final_seconds = state.final_seconds
        self.validation_seconds = state.validation_seconds

    def validated(self, seconds: float) -> None:
        """Record the time of a validation."""
        self.final_seconds = seconds
        self.validation_seconds += seconds
        self._measured = self.seconds

    def expect_validation(self, seconds: float) -> None:
        """Reserve the estimated time of a validation, at most half of the budget."""
        if self._plan.minutes is not None:
            self.final_seconds = min(seconds, self._plan.minutes * 60 / 2)
            self._measured = self.seconds

    @property
    def wants_estimate(self) -> bool:
        """Whether to estimate the time of a validation: at first, and while much is reserved for the last.

        What was measured on a busy machine would otherwise keep the time back for good.
        """
        if self._plan.minutes is None:
            return False
        total = self._plan.minutes * 60
        return self._measured is None or (
            self.final_seconds > LARGE_RESERVE * total and self.seconds - self._measured >= total / ESTIMATES
        )

    def may_validate(self) -> bool:
        """Return whether there is time for another validation before the last."""
        if self._plan.minutes is None:
            return True
        left = self._plan.minutes * 60 - self.seconds
        return (
            self.validation_seconds + self.final_seconds <= VALIDATION_SHARE * self.seconds
            and left > LAST_STRETCH * self.final_seconds
        )

    def is_due(self, every: int, *, step: int, before: float, after: float) -> bool:
        """Return whether an action is due.

        Args:
            every: Number of steps between two actions.
            step: Number of steps done.
            before: Progress before the last step.
            after: Progress after it.
        """
        if not self.is_timed:
            return step % every == 0
        share = every / self._plan.steps
        return int(after / share) > int(before / share)
