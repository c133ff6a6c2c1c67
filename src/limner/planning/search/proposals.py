"""Proposers of a search: a low-discrepancy sequence, or Optuna if installed."""

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import count, islice
from typing import TYPE_CHECKING, Any, Protocol

from limner.core.tuning import Trial
from limner.planning.search.space import Choice, Dimension, Space

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

EXPLORE = 4
"""Number of random candidates before Optuna uses previous scores."""


class Proposer(Protocol):
    """Proposes candidates."""

    name: str
    """Name shown in the report."""

    uses_scores: bool
    """Whether proposals depend on the scores of earlier candidates."""

    def propose(self, space: Space, number: int, done: Sequence[Trial]) -> dict[str, Any]:
        """Return candidate `number`, counted from 1; a deterministic function of the arguments.

        Args:
            space: The search space.
            number: Number of the candidate, counted from 1.
            done: The trials of the first round so far, all of the same duration.
        """
        ...


class SpreadEvenly:
    """Spreads candidates evenly over the space with a Halton sequence (Halton, 1960)."""

    name = "spread evenly"
    uses_scores = False

    def propose(self, space: Space, number: int, done: Sequence[Trial]) -> dict[str, Any]:
        """Return candidate `number`, independent of previous scores."""
        bases = islice(_primes(), len(space))
        return {
            key: dimension.at(radical_inverse(number, base))
            for (key, dimension), base in zip(space.items(), bases, strict=True)
        }


class Advised:
    """Proposes values with the TPE sampler of Optuna (Akiba et al., 2019)."""

    name = "proposed by Optuna"
    uses_scores = True

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def propose(self, space: Space, number: int, done: Sequence[Trial]) -> dict[str, Any]:
        """Return candidate `number` from the scores so far; failed candidates are ignored."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        # A new sampler each time: the proposals of a resumed search must not depend on when it was stopped.
        sampler = optuna.samplers.TPESampler(seed=self._seed + number, n_startup_trials=EXPLORE)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        ranges = {key: _distribution(dimension) for key, dimension in space.items()}
        for trial in done:
            if trial.score is not None and all(d.holds(trial.settings.get(k)) for k, d in space.items()):
                told = {key: _to_optuna(space[key], value) for key, value in trial.settings.items()}
                study.add_trial(
                    optuna.trial.create_trial(params=told, distributions=ranges, value=trial.score)
                )
        asked = study.ask(ranges).params
        return {key: _from_optuna(space[key], asked[key]) for key in space}


def best_proposer(seed: int = 0) -> Proposer:
    """Return the Optuna proposer if it is installed, else the Halton sequence."""
    return SpreadEvenly() if find_spec("optuna") is None else Advised(seed)


def radical_inverse(number: int, base: int) -> float:
    """Return the radical inverse: mirror a number's digits at the point, 6 = 110 in base 2 gives 0.011."""
    value, place = 0.0, 1.0
    while number:
        place /= base
        number, digit = divmod(number, base)
        value += digit * place
    return value


def _primes() -> Iterator[int]:
    found: list[int] = []
    for number in count(2):
        if all(number % prime for prime in found):
            found.append(number)
            yield number


def _distribution(dimension: Dimension) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(dimension, Choice):
        # By index: Optuna supports only strings and numbers, and a size is a list.
        return CategoricalDistribution(range(len(dimension.values)))
    log = dimension.is_logarithmic
    if dimension.is_whole:
        return IntDistribution(int(dimension.low), int(dimension.high), log=log)
    return FloatDistribution(dimension.low, dimension.high, log=log)


def _to_optuna(dimension: Dimension, value: Any) -> Any:  # noqa: ANN401 - settings may be anything
    return dimension.values.index(value) if isinstance(dimension, Choice) else value


def _from_optuna(dimension: Dimension, asked: Any) -> Any:  # noqa: ANN401 - settings may be anything
    return dimension.values[asked] if isinstance(dimension, Choice) else dimension.rounded(asked)
