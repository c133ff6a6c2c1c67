"""Search spaces: ``optimizer.learning_rate=1e-4..1e-2``, ``augment.hue=0,0.05`` or a bare key."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from limner.core.config import parse_yaml
from limner.core.errors import ConfigError, did_you_mean
from limner.planning.settings import Flat, nest, read_settings, settable_fields

FACTOR = 5
"""A bare key is searched from its value divided by this to its value times this."""

LOGARITHMIC_FROM = 10
"""A range is sampled on a logarithmic scale if the ratio of its bounds is at least this."""

FIXED = {
    "task": "scores of different tasks cannot be compared",
    "train.steps": "the search divides the time between its trials",
    "train.minutes": "the search divides the time between its trials",
    "train.seed": "the best seed is only luck",
}
"""Settings that cannot be searched, and why."""


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included."""

    low: float
    high: float

    @property
    def is_whole(self) -> bool:
        """Whether it contains only integers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def is_logarithmic(self) -> bool:
        """Whether it is sampled on a logarithmic scale."""
        return self.low > 0 and self.high / self.low >= LOGARITHMIC_FROM

    def at(self, part: float) -> float:
        """Return the value at a fraction of the range, in [0, 1), with three digits."""
        if self.is_logarithmic:
            value = self.low * math.exp(part * math.log(self.high / self.low))
        else:
            value = self.low + part * (self.high - self.low)
        return self.rounded(value)

    def rounded(self, value: float) -> float:
        """Return a value rounded to an integer or three digits."""
        return round(value) if self.is_whole else min(max(float(f"{value:.3g}"), self.low), self.high)

    def holds(self, value: object) -> bool:
        """Whether the range contains a value."""
        return isinstance(value, int | float) and self.low <= value <= self.high


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    values: tuple[Any, ...]

    def at(self, part: float) -> Any:  # noqa: ANN401 - settings may be anything
        """Return the value at a fraction of the list, in [0, 1)."""
        return self.values[int(part * len(self.values))]

    def holds(self, value: object) -> bool:
        """Whether a value is one of them."""
        return value in self.values


Dimension = Range | Choice
Space = Mapping[str, Dimension]
"""Dotted key -> its range or choices."""


def read_space(texts: Sequence[str], own: Flat) -> dict[str, Dimension]:
    """Parse a search space.

    Args:
        texts: ``KEY=LOW..HIGH``, ``KEY=A,B,C``, or only ``KEY``, which means a fifth to five times the
            plan's number, or every allowed word.
        own: The plan's values by dotted key.

    Raises:
        ConfigError: A key is unknown or cannot be searched, or a value is invalid.
    """
    space: dict[str, Dimension] = {}
    for text in texts:
        key, equals, values = (part.strip() for part in text.partition("="))
        if key in FIXED:
            raise ConfigError(f"--over {key}: this cannot be searched: {FIXED[key]}.")
        if key not in settable_fields() and _parent(key) not in settable_fields():
            near = did_you_mean(key, settable_fields())
            raise ConfigError(f"--over {key}: unknown setting{near}. `limner plan DATA` lists all.")
        space[key] = _dimension(key, values) if equals else _around(key, _own(own, key))
    return space


def own_values(own: Flat, space: Space) -> dict[str, Any]:
    """Return the plan's values of the searched keys; options that it does not set are omitted."""
    return {key: value for key in space if (value := _own(own, key)) is not None}


def _own(own: Flat, key: str) -> Any:  # noqa: ANN401 - settings may be anything
    if key in own:
        return own[key]
    inside = own[_parent(key)]
    return inside.get(key.rpartition(".")[2]) if isinstance(inside, dict) else None


def _parent(key: str) -> str:
    """Return the parent setting of an entry: ``network.options`` for ``network.options.width``."""
    return key.rpartition(".")[0]


def _dimension(key: str, text: str) -> Dimension:
    low, dots, high = text.partition("..")
    if dots:
        ends = tuple(_checked(key, _number(key, end)) for end in (low, high))
        if not all(type(end) in (int, float) for end in ends) or ends[0] >= ends[1]:
            raise ConfigError(f"--over {key}={text}: a range needs a smaller and a larger number.")
        return Range(*ends)
    values = parse_yaml(f"[{text}]", where=f"--over {key}")
    choices = tuple(_checked(key, value) for value in values)
    if len(choices) < 2:
        raise ConfigError(
            f"--over {key}={text}: expected a range such as 0.001..0.1, or two values or more such as a,b; "
            "use --set for a single value."
        )
    return Choice(choices)


def _number(key: str, text: str) -> float:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)  # YAML parses 1e-4 as a string
    except ValueError:
        raise ConfigError(f"--over {key}: {text.strip()!r} is not a number.") from None


def _checked(key: str, value: object) -> Any:  # noqa: ANN401 - settings may be anything
    """Return a value converted to the setting's type; anything but a single value is unchanged."""
    flat = read_settings(nest({key: value}), where="--over")
    found = flat.get(key, value)
    return found if isinstance(found, str | int | float) else value


def _around(key: str, own: object) -> Dimension:
    """Return the range or choices of a bare key."""
    field = settable_fields().get(key)
    words = () if field is None else get_args(field.annotation)
    if isinstance(own, bool):
        return Choice((False, True))
    if isinstance(own, int) and own > 0:
        return Range(max(1, own // FACTOR), own * FACTOR)
    if isinstance(own, float) and own > 0:
        return Range(float(f"{own / FACTOR:.3g}"), float(f"{own * FACTOR:.3g}"))
    if len(words) > 1 and all(isinstance(word, str) for word in words):
        return Choice(words)
    raise ConfigError(
        f"--over {key}: no range can be derived from the plan's value {own!r}. "
        f"Write one, such as --over {key}=LOW..HIGH or --over {key}=A,B."
    )
