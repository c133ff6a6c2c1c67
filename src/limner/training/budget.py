"""How long a run is: a number of steps, or minutes by the clock into which the whole schedule must fit."""

import time
from collections.abc import Callable

from limner.core.plan import TrainPlan
from limner.training.run_state import RunState

VALIDATION_SHARE = 0.08
"""With a time budget, validations are put off while they would take more of it than this."""


LAST_STRETCH = 4
"""With a time budget, none is begun when less is left than this many of them take: the last one is near."""


class Budget:
    """Says how far a run is, and when it is time to validate or save.

    With minutes, progress is the time spent, validations included, over the budget less the time that
    the last validation needs; what is done "every N steps" is then done as often over the run as the
    plan's estimated number of steps says, whatever the speed turns out to be.
    """

    def __init__(self, plan: TrainPlan, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._plan = plan
        self._clock = clock
        self._started = clock()
        self._progress = 0.0
        self.final_seconds = 0.0
        """Measured time of one validation, kept back for the last one."""
        self.validation_seconds = 0.0
        """Time of all validations so far."""

    @property
    def is_timed(self) -> bool:
        """Whether the clock rather than the number of steps ends the run."""
        return self._plan.minutes is not None

    @property
    def seconds(self) -> float:
        """Seconds of training so far, those before a resume included."""
        return self._clock() - self._started

    def progress(self, step: int) -> float:
        """Return the part of the run that is done after `step` steps, in [0, 1]; it never goes back."""
        if self._plan.minutes is None:
            return min(step / self._plan.steps, 1.0)
        available = max(self._plan.minutes * 60 - self.final_seconds, 1e-9)
        self._progress = min(max(self._progress, self.seconds / available), 1.0)
        return self._progress

    def resume(self, state: RunState) -> None:
        """Count the time that the run has had before this process."""
        self._started = self._clock() - state.seconds
        self.final_seconds = state.final_seconds
        self.validation_seconds = state.validation_seconds

    def validated(self, seconds: float) -> None:
        """Learn what a validation costs."""
        self.final_seconds = seconds
        self.validation_seconds += seconds

    def expect_validation(self, seconds: float) -> None:
        """Keep time back for a validation that has not been measured yet; half of the budget at most."""
        if self._plan.minutes is not None:
            self.final_seconds = min(seconds, self._plan.minutes * 60 / 2)

    def may_validate(self) -> bool:
        """Say whether the time allows one more validation before the last."""
        if self._plan.minutes is None:
            return True
        left = self._plan.minutes * 60 - self.seconds
        return (
            self.validation_seconds + self.final_seconds <= VALIDATION_SHARE * self.seconds
            and left > LAST_STRETCH * self.final_seconds
        )

    def is_due(self, every: int, *, step: int, before: float, after: float) -> bool:
        """Say whether something that happens `every` so many steps is due.

        Args:
            every: Steps between two times.
            step: Steps done.
            before: Progress before the last step.
            after: Progress after it.
        """
        if not self.is_timed:
            return step % every == 0
        share = every / self._plan.steps
        return int(after / share) > int(before / share)
