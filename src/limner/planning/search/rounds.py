"""Successive halving (Jamieson and Talwalkar, 2016): many candidates for a short time, the best for longer.

Every trial is a whole training with its own schedule, since a schedule cut short says little about the rate
it was made for; so a candidate of a later round begins anew, and scores of one round can be compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from limner.core.errors import ConfigError
from limner.core.tuning import Trial

KEPT = 3
"""One candidate of so many goes on to the next round; the last round has at most so many."""

SHORTEST = 0.05
"""Minutes that a trial has at least."""


@dataclass(frozen=True)
class Round:
    """How many candidates are trained, and each for how long."""

    num_trials: int
    minutes: float


def plan_rounds(num_candidates: int, minutes: float) -> tuple[Round, ...]:
    """Divide a time between rounds, each of which has the same part of it.

    Raises:
        ConfigError: There are fewer than two candidates, or the time is too short for so many.
    """
    if num_candidates < 2:
        raise ConfigError(f"--trials {num_candidates}: a search compares two candidates or more.")
    sizes = [num_candidates]
    while sizes[-1] > KEPT:
        sizes.append(-(-sizes[-1] // KEPT))
    rounds = tuple(Round(size, minutes / len(sizes) / size) for size in sizes)
    if rounds[0].minutes < SHORTEST:
        raise ConfigError(
            f"--minutes {minutes:g} leaves {60 * rounds[0].minutes:.1f} s for each of {num_candidates} "
            f"trials, and {60 * SHORTEST:.0f} s is the least. Give more minutes or fewer --trials."
        )
    return rounds


def survivors(trials: Sequence[Trial], number: int) -> list[Trial]:
    """Return the best trials of a finished round, best first; those without a score never go on."""
    scored = [trial for trial in trials if trial.score is not None]
    return sorted(scored, key=lambda trial: (-trial.rank, trial.candidate))[:number]
