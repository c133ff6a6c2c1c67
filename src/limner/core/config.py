"""Settings as pydantic models, which reject unknown keys and suggest the nearest known one."""

from collections.abc import Callable, Iterable, Iterator
from inspect import signature
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from limner.core.config_problems import as_model, problem
from limner.core.errors import ConfigError, did_you_mean
from limner.core.yaml_text import load_yaml

Positive = Annotated[int, Field(gt=0)]
Probability = Annotated[float, Field(ge=0, le=1)]
Part = Annotated[float, Field(gt=0, le=1)]


class Config(BaseModel):
    """Base class of settings: immutable, rejects unknown keys, validates on construction."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        defer_build=True,  # a command uses few of the hundred models
    )


C = TypeVar("C", bound=Config)


def parse_config(model: type[C], values: object, *, where: str) -> C:
    """Build a settings model from plain values.

    Args:
        model: The settings class.
        values: A mapping, as YAML gives it; None counts as an empty one.
        where: Source of the values (a file, option or object, in the singular), for error messages.

    Raises:
        ConfigError: Lists every problem, one per line, with the nearest known key for each unknown one.
    """
    try:
        return model.model_validate({} if values is None else values)
    except ValidationError as error:
        problems = [f"  {problem(model, detail)}" for detail in error.errors(include_url=False)]
        raise ConfigError("\n".join([f"{where} has invalid settings:", *problems])) from None


def parse_yaml(text: str, *, where: str) -> Any:  # noqa: ANN401 - YAML may hold anything
    """Parse YAML text; a syntax error names the file, the line and the column.

    Raises:
        ConfigError: The text is not YAML.
    """
    try:
        return load_yaml(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(
            f"{where}{place} is not valid YAML: {getattr(error, 'problem', None) or error}."
        ) from None
    except ValueError as error:  # the 99th of a month, or brackets a thousand deep
        raise ConfigError(f"{where} is YAML that cannot be parsed: {error}.") from None


def merge(base: dict[str, Any], override: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `override` merged in recursively; neither is changed."""
    merged = dict(base)
    for key, value in override.items():
        under = merged.get(key)
        merged[key] = merge(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def parse_assignment(text: str) -> dict[str, Any]:
    """Parse ``train.steps=2000`` into ``{"train": {"steps": 2000}}``; the value is read as YAML.

    Raises:
        ConfigError: The ``=`` or the key is missing.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set expects KEY=VALUE, such as train.steps=2000; found {text!r}.")
    nested: Any = parse_yaml(value, where=f"--set {key}")
    for part in reversed(key.strip().split(".")):
        nested = {part: nested}
    return dict(nested)


def known_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield every dotted key of a settings model and of the models inside it."""
    for name, field in model.model_fields.items():
        yield prefix + name
        inner = as_model(field.annotation)
        if inner is not None:
            yield from known_keys(inner, f"{prefix}{name}.")


def refuse_unknown_options(function: Callable[..., object], options: Iterable[str], *, where: str) -> None:
    """Check option names against the keyword arguments of the function or class that takes them.

    Raises:
        ConfigError: An option is unknown; names the nearest argument.
    """
    known = list(signature(function).parameters)
    for option in options:
        if option not in known:
            raise ConfigError(
                f"{where} has no option {option!r}{did_you_mean(option, known)}. It has: {', '.join(known)}."
            )


def merge_assignments(texts: Iterable[str]) -> dict[str, Any]:
    """Parse several ``KEY=VALUE`` texts into one nested mapping; later ones win.

    Raises:
        ConfigError: A ``=`` or a key is missing.
    """
    merged: dict[str, Any] = {}
    for text in texts:
        merged = merge(merged, parse_assignment(text))
    return merged
