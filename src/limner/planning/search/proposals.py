"""Which values a search tries next: points spread evenly, or Optuna's advice where it is installed."""

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import count, islice
from typing import TYPE_CHECKING, Any, Protocol

from limner.core.tuning import Trial
from limner.planning.search.space import Choice, Dimension, Space

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

EXPLORE = 4
"""Candidates that Optuna draws at random before it trusts what it has seen."""


class Proposer(Protocol):
    """Proposes candidates."""

    name: str
    """As the page names it."""

    def propose(self, space: Space, number: int, done: Sequence[Trial]) -> dict[str, Any]:
        """Return candidate `number`, from 1; the same arguments give the same values.

        Args:
            space: What may be tried.
            number: How many candidates were proposed before, plus one.
            done: The trials of the first round so far, all of the same time.
        """
        ...


class SpreadEvenly:
    """Spreads candidates evenly over the space (Halton, 1960): no two are close, few are many enough."""

    name = "spread evenly"

    def propose(self, space: Space, number: int, done: Sequence[Trial]) -> dict[str, Any]:
        """Return candidate `number`, whatever was seen."""
        bases = islice(_primes(), len(space))
        return {
            key: dimension.at(radical_inverse(number, base))
            for (key, dimension), base in zip(space.items(), bases, strict=True)
        }


class Advised:
    """Asks Optuna (Akiba et al., 2019) for values that do better than those seen, by its TPE sampler."""

    name = "proposed by Optuna"

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def propose(self, space: Space, number: int, done: Sequence[Trial]) -> dict[str, Any]:
        """Return candidate `number` from the scores so far; candidates that failed are left out."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        # A fresh sampler each time: what a resumed search proposes must not depend on when it was stopped.
        sampler = optuna.samplers.TPESampler(seed=self._seed + number, n_startup_trials=EXPLORE)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        ranges = {key: _distribution(dimension) for key, dimension in space.items()}
        for trial in done:
            if trial.score is not None and all(d.holds(trial.settings.get(k)) for k, d in space.items()):
                told = {key: _told(space[key], value) for key, value in trial.settings.items()}
                study.add_trial(
                    optuna.trial.create_trial(params=told, distributions=ranges, value=trial.score)
                )
        asked = study.ask(ranges).params
        return {key: _value(space[key], asked[key]) for key in space}


def best_proposer(seed: int = 0) -> Proposer:
    """Return Optuna where it is installed."""
    return SpreadEvenly() if find_spec("optuna") is None else Advised(seed)


def radical_inverse(number: int, base: int) -> float:
    """Return the digits of a whole number in a base, mirrored at the point: 6 = 110 in base 2 gives 0.011."""
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
        # By their places: Optuna keeps words and numbers only, and a size is a list.
        return CategoricalDistribution(range(len(dimension.values)))
    log = dimension.is_logarithmic
    if dimension.is_whole:
        return IntDistribution(int(dimension.low), int(dimension.high), log=log)
    return FloatDistribution(dimension.low, dimension.high, log=log)


def _told(dimension: Dimension, value: Any) -> Any:  # noqa: ANN401 - settings may be anything
    return dimension.values.index(value) if isinstance(dimension, Choice) else value


def _value(dimension: Dimension, asked: Any) -> Any:  # noqa: ANN401 - settings may be anything
    return dimension.values[asked] if isinstance(dimension, Choice) else dimension.rounded(asked)
