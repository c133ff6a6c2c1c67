"""What tuning found: the answer of the loss to learning rates, and the trials of a search."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BELOW_LOWEST = 10.0
"""The suggested rate is the one of the lowest loss over this: at the lowest point training is about to
diverge (Smith, 2017, and the habit since)."""

EDGE = 0.1
"""Part of the points at either end in which a lowest loss says nothing: the loss never fell, or was still
falling."""


@dataclass(frozen=True)
class RateTest:
    """One short run from the first weights in which the learning rate grows from step to step.

    Attributes:
        rates: Rising learning rates, one a step.
        losses: The loss of each step; the last may be infinite.
        smoothed: Their moving average.
        planned: The learning rate that the plan has.
        diverged: Whether the loss ran away before the largest rate.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    planned: float
    diverged: bool

    @property
    def lowest(self) -> int:
        """The place of the lowest smoothed loss."""
        return min(range(len(self.smoothed)), key=lambda i: _or_inf(self.smoothed[i]))

    @property
    def suggestion(self) -> float | None:
        """A learning rate, in two digits; None where the loss hardly fell, or was falling to the end."""
        edge = EDGE * len(self.rates)
        if self.lowest < edge or (not self.diverged and self.lowest >= len(self.rates) - edge):
            return None
        return float(f"{self.rates[self.lowest] / BELOW_LOWEST:.1e}")


@dataclass(frozen=True)
class Trial:
    """One training of a search.

    Attributes:
        round: From 1.
        number: Within its round, from 1.
        candidate: Which settings they are, from 1; candidate 1 is the plan as it is.
        minutes: Its training time.
        settings: Dotted key -> value of what is searched.
        score: The best validation score; None before the end, or where it failed.
        steps: Optimizer steps done.
        problem: Why there is no score, or an empty string.
    """

    round: int
    number: int
    candidate: int
    minutes: float
    settings: Mapping[str, Any]
    score: float | None = None
    steps: int | None = None
    problem: str = ""

    @property
    def is_done(self) -> bool:
        """Whether it has ended, well or not."""
        return self.score is not None or bool(self.problem)

    @property
    def rank(self) -> float:
        """Its score, or less than any where it has none."""
        return -math.inf if self.score is None or math.isnan(self.score) else self.score


@dataclass(frozen=True)
class Tuning:
    """A folder of tuning.

    Attributes:
        root: The folder.
        data: The dataset folder.
        score_name: What trials are ordered by.
        rate_test: The range test, if there was one.
        trials: Those of the search so far, in order.
        num_images: Validation images that the score is measured on.
    """

    root: Path
    data: str
    score_name: str
    rate_test: RateTest | None = None
    trials: tuple[Trial, ...] = ()
    num_images: int = 0

    @property
    def page(self) -> Path:
        """Everything as one self-contained page."""
        return self.root / "tuning.html"

    @property
    def table(self) -> Path:
        """One line a trial, as CSV."""
        return self.root / "trials.csv"

    @property
    def plot(self) -> Path:
        """The range test as a picture."""
        return self.root / "rates.png"

    @property
    def recipe(self) -> Path:
        """The best settings as a file that `limner train` takes."""
        return self.root / "best.yaml"

    def run_of(self, trial: Trial) -> Path:
        """Return the folder of one trial's run."""
        return self.root / "trials" / f"{trial.round}-{trial.number}"

    @property
    def best(self) -> Trial | None:
        """The best trial of the last round that has a score: scores of one round had the same time."""
        scored = [trial for trial in self.trials if trial.score is not None]
        last = max((trial.round for trial in scored), default=0)
        return max((t for t in scored if t.round == last), key=lambda t: t.rank, default=None)


def _or_inf(value: float) -> float:
    return value if math.isfinite(value) else math.inf
