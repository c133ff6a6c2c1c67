from typing import Annotated, Literal

from pydantic import Field

from limner.core.config import Config
from limner.core.settings_table import HEAD, settings_table


class Inner(Config):
    side: Annotated[int, Field(gt=0)] | None = None
    """Length of a side."""


class Settings(Config):
    name: Literal["a", "b"] = "a"
    """What it is
    called."""
    count: int
    """How many | how few."""
    share: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Part of it."""
    below: Annotated[float, Field(ge=0, lt=2)] = 0.0
    """Less than two."""
    pair: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = (0.5, 2.0)
    """Two of them."""
    some: tuple[str, ...] = ()
    """Any number of them."""
    is_set: bool = False
    """Whether it is."""
    inner: Inner | None = None
    """Another model."""
    listed: tuple[Inner, ...] = ()
    """Several of it."""


def test_each_setting_has_a_row_with_default_values_and_description():
    assert settings_table(Settings, "x.", leave_out=("x.is_set",)) == [
        *HEAD,
        "| `x.name` | `a` | `a`, `b` | What it is called. |",
        "| `x.count` | chosen | whole number | How many \\| how few. |",
        "| `x.share` | `0.5` | number from 0 to 1 | Part of it. |",
        "| `x.below` | `0.0` | number at least 0, below 2 | Less than two. |",
        "| `x.pair` | `[0.5, 2.0]` | 2 numbers above 0 | Two of them. |",
        "| `x.some` | `[]` | list of texts | Any number of them. |",
        "| `x.inner` | `null` | mapping or `null` | Another model. |",
        "| `x.inner.side` | `null` | whole number above 0 or `null` | Length of a side. |",
        "| `x.listed` | `[]` | list of mappings | Several of it. |",
        "| `x.listed[].side` | `null` | whole number above 0 or `null` | Length of a side. |",
    ]
