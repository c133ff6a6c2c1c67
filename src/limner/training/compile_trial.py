"""Whether a run on an accelerator compiles its network: a trial in its first minute.

Compiling takes about a minute, and how much it gains depends on network, precision and device, so the run is
timed both ways. A CPU is not tried: there, limner's own kernels for convolutions are used instead.
"""

from collections.abc import Callable
from statistics import median

from limner.core.wording import rough_time

WARM_UP, TIMED = 3, 10
"""Steps that are not timed, in which kernels are chosen and compiled, and steps whose median is compared."""

SHORTEST_RUN = 10 * 60.0
"""Seconds that a run must still take for the trial: about ten times what compiling takes."""

LEAST_GAIN = 0.97
"""Largest ratio of the times of a step with and without compiling at which the network stays compiled."""


class CompileTrial:
    """Times steps without compiling, then with it, and keeps what is faster.

    Args:
        switch: Starts compiling the network, or stops it.
        seconds_left: Seconds that the run still takes, given the seconds of a step.
        agree: Returns the main process's number, in all processes.

    Attributes:
        decision: Whether the network is compiled; None during the trial.
    """

    def __init__(
        self,
        *,
        switch: Callable[[bool], None],
        seconds_left: Callable[[float], float],
        agree: Callable[[float], float],
    ) -> None:
        self._switch, self._seconds_left, self._agree = switch, seconds_left, agree
        self._times: list[float] = []
        self._plain: float | None = None
        self.decision: bool | None = None

    def add(self, seconds: float) -> str | None:
        """Add the time of a step, for which the device was waited for.

        Returns:
            A sentence for the user if the trial has ended.
        """
        self._times.append(seconds)
        if len(self._times) < WARM_UP + TIMED:
            return None
        step, first = self._agree(median(self._times[WARM_UP:])), sum(self._times[:WARM_UP])
        self._times = []
        if self._plain is None:
            return self._after_plain(step)
        self.decision = step <= LEAST_GAIN * self._plain
        if not self.decision:
            self._switch(False)
        verb = "is" if self.decision else "is not"
        return (
            f"The network {verb} compiled: a step takes {step:.3g} s compiled and {self._plain:.3g} s "
            f"otherwise; compiling took {rough_time(max(first - WARM_UP * step, 0.0))}."
        )

    def _after_plain(self, step: float) -> str | None:
        left = self._agree(self._seconds_left(step))
        if left >= SHORTEST_RUN:
            self._plain = step
            self._switch(True)
            return None
        self.decision = False
        return f"The network is not compiled: the run takes only {rough_time(max(left, 0.0))} more."
