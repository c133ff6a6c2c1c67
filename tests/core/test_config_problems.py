from typing import Annotated

import pytest
from pydantic import Discriminator, Field

from limner.core.config import Config, parse_config
from limner.core.config_problems import union_tag
from limner.core.errors import ConfigError


class Small(Config):
    """One of two kinds."""

    width: int = Field(default=1, gt=0)
    """A width."""


class Large(Config):
    """The other kind."""

    height: float = 1.0
    """A height."""
    name: str
    """A name."""


def _kind(value: object) -> str:
    return "<large>" if isinstance(value, dict) and "height" in value else "<small>"


Either = Annotated[
    Annotated[Small, union_tag("small")] | Annotated[Large, union_tag("large")], Discriminator(_kind)
]


class Settings(Config):
    """Both kinds in every place where a kind can stand."""

    one: Either | None = None
    """One."""
    many: tuple[Either, ...] = ()
    """Many."""
    plain: Small = Small()
    """Without a choice."""


def problems(values: object) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        parse_config(Settings, values, where="a.yaml")
    first, *lines = str(refused.value).splitlines()
    assert first == "a.yaml has invalid settings:"
    return [line.strip() for line in lines]


def test_the_nearest_key_is_looked_for_where_the_wrong_one_stands() -> None:
    assert problems({"plain": {"widht": 3}}) == ["plain.widht: unknown key (did you mean 'width'?)"]
    assert problems({"one": {"widht": 3}}) == ["one.widht: unknown key (did you mean 'width'?)"]
    assert problems({"many": [{"width": 3}, {"height": 2, "nam": "a", "name": "b"}]}) == [
        "many.1.nam: unknown key (did you mean 'name'?)"
    ]


def test_known_keys_are_listed_where_none_is_near() -> None:
    assert problems({"one": {"zzz": 3}}) == ["one.zzz: unknown key; known here: width"]
    assert problems({"zzz": 3}) == ["zzz: unknown key; known here: many, one, plain"]


def test_all_mistakes_come_at_once() -> None:
    assert problems({"plain": {"width": -1}, "one": {"height": "tall"}}) == [
        "one.height: should be a number; found 'tall'",
        "one.name: required key is missing",
        "plain.width: should be greater than 0; found -1",
    ]


def test_a_value_where_a_mapping_should_be() -> None:
    assert problems({"plain": 3}) == ["plain: should be a mapping, one `key: value` per line; found 3"]
    assert problems(["a"]) == ["should be a mapping, one `key: value` per line; found ['a']"]
