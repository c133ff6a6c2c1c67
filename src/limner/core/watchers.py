"""Observers of a training run: the metrics file, trackers, a progress display."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Moment:
    """Progress of a run, passed to watchers after every step.

    Attributes:
        step: Number of optimizer steps done.
        steps: Number of steps of the whole run; an estimate with a time budget.
        progress: Fraction of the run that is done, in [0, 1].
        seconds: Seconds of training so far.
        peak_bytes: Peak memory so far, of the device or of the process on a CPU; None if unknown.
    """

    step: int
    steps: int
    progress: float
    seconds: float
    peak_bytes: int | None = None

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds until the end, or None before there is an estimate."""
        return self.seconds * (1 - self.progress) / self.progress if self.progress > 0 else None


class Watcher:
    """Base class of observers; each method does nothing by default.

    Watchers are called only in the main process, and must not affect the run.
    """

    def start(self, moment: Moment, settings: Mapping[str, object]) -> None:
        """Called at the start (or resume) of a run, with the plan's flat settings."""

    def step(self, moment: Moment) -> None:
        """Called after every step, so it must be cheap."""

    def log(self, step: int, seconds: float, values: Mapping[str, float]) -> None:
        """Called with losses or scores, named as in metrics.csv."""

    def say(self, message: str) -> None:
        """Called with a message for the user."""

    def flush(self) -> None:
        """Write everything to disk; called before a checkpoint is written."""

    def close(self) -> None:
        """Called once at the end, after success or failure."""


class Watchers(Watcher):
    """Forwards calls to several watchers."""

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self._watchers = tuple(watchers)

    def start(self, moment: Moment, settings: Mapping[str, object]) -> None:
        """Forward to each watcher."""
        for watcher in self._watchers:
            watcher.start(moment, settings)

    def step(self, moment: Moment) -> None:
        """Forward to each watcher."""
        for watcher in self._watchers:
            watcher.step(moment)

    def log(self, step: int, seconds: float, values: Mapping[str, float]) -> None:
        """Forward to each watcher."""
        for watcher in self._watchers:
            watcher.log(step, seconds, values)

    def say(self, message: str) -> None:
        """Forward to each watcher."""
        for watcher in self._watchers:
            watcher.say(message)

    def flush(self) -> None:
        """Forward to each watcher."""
        for watcher in self._watchers:
            watcher.flush()

    def close(self) -> None:
        """Forward to each watcher."""
        for watcher in self._watchers:
            watcher.close()
