"""What may look on while a run trains: the metrics file, trackers, a progress display."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Moment:
    """Where a run is, told to watchers after every step.

    Attributes:
        step: Optimizer steps done.
        steps: Steps of the whole run, or an estimate where a time budget ends it.
        progress: Part of the run that is done, in [0, 1].
        seconds: Seconds of training so far.
    """

    step: int
    steps: int
    progress: float
    seconds: float

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the end at the pace so far, or None before there is a pace."""
        return self.seconds * (1 - self.progress) / self.progress if self.progress > 0 else None


class Watcher:
    """Base of everything that looks on; each method does nothing until a watcher overrides it.

    Watchers are called in the main process only, and must never change the run.
    """

    def start(self, moment: Moment, settings: Mapping[str, object]) -> None:
        """Take note of where the run starts (or goes on), and of the plan's flat settings."""

    def step(self, moment: Moment) -> None:
        """Take note of a step; called every step, so it must be cheap."""

    def log(self, step: int, seconds: float, values: Mapping[str, float]) -> None:
        """Take note of losses or scores; names are those of metrics.csv."""

    def say(self, message: str) -> None:
        """Take note of something the user should read."""

    def flush(self) -> None:
        """Put everything taken note of on the disk; called before a checkpoint is written."""

    def close(self) -> None:
        """End; called once, after success and after failure."""


class Watchers(Watcher):
    """Several watchers as one."""

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self._watchers = tuple(watchers)

    def start(self, moment: Moment, settings: Mapping[str, object]) -> None:
        """Tell each watcher."""
        for watcher in self._watchers:
            watcher.start(moment, settings)

    def step(self, moment: Moment) -> None:
        """Tell each watcher."""
        for watcher in self._watchers:
            watcher.step(moment)

    def log(self, step: int, seconds: float, values: Mapping[str, float]) -> None:
        """Tell each watcher."""
        for watcher in self._watchers:
            watcher.log(step, seconds, values)

    def say(self, message: str) -> None:
        """Tell each watcher."""
        for watcher in self._watchers:
            watcher.say(message)

    def flush(self) -> None:
        """Tell each watcher."""
        for watcher in self._watchers:
            watcher.flush()

    def close(self) -> None:
        """Tell each watcher."""
        for watcher in self._watchers:
            watcher.close()
