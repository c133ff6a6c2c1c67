"""Results of tuning: a learning-rate range test, and the trials of a search."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BELOW_LOWEST = 10.0
"""The suggested rate is the rate of the lowest loss divided by this, since at the lowest point training is
about to diverge (Smith, 2017, and common practice since)."""

EDGE = 0.1
"""Fraction of points at either end where a lowest loss is not conclusive: the loss never fell, or was
still falling."""


@dataclass(frozen=True)
class RateTest:
    """A learning-rate range test: a short run from the initial weights with an increasing learning rate.

    Attributes:
        rates: Increasing learning rates, one per step.
        losses: The loss of each step; the last may be infinite.
        smoothed: Moving average of the losses.
        planned: The learning rate in the plan.
        diverged: Whether the loss diverged before the largest rate.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    planned: float
    diverged: bool

    @property
    def lowest(self) -> int:
        """Index of the lowest smoothed loss."""
        return min(range(len(self.smoothed)), key=lambda i: _or_inf(self.smoothed[i]))

    @property
    def suggestion(self) -> float | None:
        """Suggested learning rate, in two digits; None if the loss hardly fell, or fell until the end."""
        edge = EDGE * len(self.rates)
        if self.lowest < edge or (not self.diverged and self.lowest >= len(self.rates) - edge):
            return None
        return float(f"{self.rates[self.lowest] / BELOW_LOWEST:.1e}")


@dataclass(frozen=True)
class Trial:
    """One training run of a search.

    Attributes:
        round: Number of the round, from 1.
        number: Number within the round, from 1.
        candidate: Number of the settings, from 1; candidate 1 is the unchanged plan.
        minutes: Training time.
        settings: Dotted key -> value of the searched settings.
        score: The best validation score; None before the end, or if the run failed.
        steps: Number of optimizer steps done.
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
        """Whether it has ended, successfully or not."""
        return self.score is not None or bool(self.problem)

    @property
    def rank(self) -> float:
        """Its score, or minus infinity if it has none."""
        return -math.inf if self.score is None or math.isnan(self.score) else self.score


@dataclass(frozen=True)
class Tuning:
    """The results of tuning, and their paths.

    Attributes:
        root: The folder.
        data: The dataset folder.
        score_name: Name of the score that trials are ordered by.
        rate_test: The range test, or None.
        trials: The trials so far, in order.
        num_images: Number of validation images.
    """

    root: Path
    data: str
    score_name: str
    rate_test: RateTest | None = None
    trials: tuple[Trial, ...] = ()
    num_images: int = 0

    @property
    def page(self) -> Path:
        """All results as a self-contained page."""
        return self.root / "tuning.html"

    @property
    def table(self) -> Path:
        """CSV with one line per trial."""
        return self.root / "trials.csv"

    @property
    def plot(self) -> Path:
        """Plot of the range test."""
        return self.root / "rates.png"

    @property
    def recipe(self) -> Path:
        """The best settings as a recipe for `limner train`."""
        return self.root / "best.yaml"

    def run_of(self, trial: Trial) -> Path:
        """Return the folder of one trial's run."""
        return self.root / "trials" / f"{trial.round}-{trial.number}"

    @property
    def best(self) -> Trial | None:
        """The best trial of the last round with a score; trials of one round have the same time budget."""
        scored = [trial for trial in self.trials if trial.score is not None]
        last = max((trial.round for trial in scored), default=0)
        return max((t for t in scored if t.round == last), key=lambda t: t.rank, default=None)


def _or_inf(value: float) -> float:
    return value if math.isfinite(value) else math.inf
