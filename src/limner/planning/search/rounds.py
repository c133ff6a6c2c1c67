"""Successive halving (Jamieson and Talwalkar, 2016): many candidates for a short time, the best for longer.

Every trial is a complete training with its own schedule, since a truncated schedule says little about its
learning rate. So a candidate starts again in a later round, and scores within a round are comparable.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from limner.core.errors import ConfigError
from limner.core.tuning import Trial

KEPT = 3
"""One of this many candidates advances to the next round; also the maximum in the last round."""

SHORTEST = 0.05
"""Minimum minutes of a trial."""


@dataclass(frozen=True)
class Round:
    """Number of candidates, and minutes of each."""

    num_trials: int
    minutes: float


def plan_rounds(num_candidates: int, minutes: float) -> tuple[Round, ...]:
    """Divide a time budget equally between rounds.

    Raises:
        ConfigError: There are fewer than two candidates, or not enough time for all.
    """
    if num_candidates < 2:
        raise ConfigError(f"--trials {num_candidates}: a search needs at least two candidates.")
    sizes = [num_candidates]
    while sizes[-1] > KEPT:
        sizes.append(-(-sizes[-1] // KEPT))
    rounds = tuple(Round(size, minutes / len(sizes) / size) for size in sizes)
    if rounds[0].minutes < SHORTEST:
        raise ConfigError(
            f"--minutes {minutes:g} leaves {60 * rounds[0].minutes:.1f} s for each of {num_candidates} "
            f"trials; the minimum is {60 * SHORTEST:.0f} s. Use more --minutes or fewer --trials."
        )
    return rounds


def survivors(trials: Sequence[Trial], number: int) -> list[Trial]:
    """Return the best trials of a finished round, best first; trials without a score are dropped."""
    scored = [trial for trial in trials if trial.score is not None]
    return sorted(scored, key=lambda trial: (-trial.rank, trial.candidate))[:number]
