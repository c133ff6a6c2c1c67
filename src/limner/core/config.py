"""Settings as pydantic models: unknown keys are refused and the nearest known key is named."""

from collections.abc import Callable, Iterable, Iterator
from inspect import signature
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Tag, ValidationError

from limner.core.config_problems import problem
from limner.core.errors import ConfigError, did_you_mean


class Config(BaseModel):
    """Base of every settings model: immutable, strict about unknown keys, checked at once."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True
    )


C = TypeVar("C", bound=Config)


def parse_config(model: type[C], values: object, *, where: str) -> C:
    """Build a settings model from plain values.

    Args:
        model: The settings class.
        values: A mapping, as YAML gives it; None counts as an empty one.
        where: The file or option, for error messages.

    Raises:
        ConfigError: Every problem at once, one line each, with the nearest known key of an unknown one.
    """
    try:
        return model.model_validate({} if values is None else values)
    except ValidationError as error:
        problems = [f"  {problem(model, detail)}" for detail in error.errors(include_url=False)]
        raise ConfigError("\n".join([f"{where} has settings that limner cannot use:", *problems])) from None


def parse_yaml(text: str, *, where: str) -> Any:  # noqa: ANN401 - YAML may hold anything
    """Parse YAML text; a syntax error names the file, the line and the column.

    Raises:
        ConfigError: The text is not YAML.
    """
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(
            f"{where}{place} is not valid YAML: {getattr(error, 'problem', None) or error}."
        ) from None


def merge(base: dict[str, Any], override: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with `override` laid over it, mapping by mapping; neither is changed."""
    merged = dict(base)
    for key, value in override.items():
        under = merged.get(key)
        merged[key] = merge(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def parse_assignment(text: str) -> dict[str, Any]:
    """Turn ``train.steps=2000`` into ``{"train": {"steps": 2000}}``; the value is read as YAML.

    Raises:
        ConfigError: There is no ``=`` or no key.
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
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from known_keys(inner, f"{prefix}{name}.")


def refuse_unknown_options(function: Callable[..., object], options: Iterable[str], *, where: str) -> None:
    """Check option names against the keyword arguments of the function or class that takes them.

    Raises:
        ConfigError: An option is none of the arguments; the nearest one is named.
    """
    known = list(signature(function).parameters)
    for option in options:
        if option not in known:
            raise ConfigError(
                f"{where} has no option {option!r}{did_you_mean(option, known)}. It has: {', '.join(known)}."
            )


def merge_assignments(texts: Iterable[str]) -> dict[str, Any]:
    """Turn several ``KEY=VALUE`` texts into one nested mapping; a later one wins.

    Raises:
        ConfigError: One of them has no ``=`` or no key.
    """
    merged: dict[str, Any] = {}
    for text in texts:
        merged = merge(merged, parse_assignment(text))
    return merged


# pydantic's words for these are of Python's types, or say a thing twice.
_PLAIN = {
    "model_type": "should be a mapping, one `key: value` a line",
    "tuple_type": "should be a list",
    "int_parsing": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_parsing": "should be a number",
    "bool_parsing": "should be true or false",
    "string_type": "should be text",
}


def union_tag(name: str) -> Tag:
    """Mark one member of a union whose settings look different, for use with pydantic's `Discriminator`.

    Without a discriminator pydantic reports the errors of every member, under names of its own making. The
    angle brackets keep a tag from being taken for a key, and out of messages.
    """
    return Tag(f"<{name}>")


def _problem(model: type[BaseModel], detail: Any) -> str:  # noqa: ANN401 - pydantic's own dict
    location = tuple(detail["loc"])
    key = ".".join(str(part) for part in location if not _is_tag(part))
    if detail["type"] == "extra_forbidden":
        known = _keys_beside(model, location)
        near = did_you_mean(str(location[-1]), known)
        return f"{key}: unknown key{near or '; known here: ' + ', '.join(known)}"
    if detail["type"] == "missing":
        what = "a key" if isinstance(location[-1], str) else "an item of the list"
        return f"{key}: {what} that is needed is missing"
    problem = _PLAIN.get(detail["type"], detail["msg"].removeprefix("Value error, ").removeprefix("Input "))
    # What a validator of several keys says stands for itself; the keys' whole mapping would bury it.
    found = "" if isinstance(detail["input"], dict) else f"; found {detail['input']!r}"
    return f"{key}: {problem}{found}" if key else f"{problem}{found}"


def _is_tag(part: str | int) -> bool:
    return isinstance(part, str) and part.startswith("<")


def _keys_beside(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """Return the keys that could have stood at a location."""
    models: list[type[BaseModel]] = [model]
    annotations: list[Any] = []
    for part in location[:-1]:
        if _is_tag(part):
            models = [m for annotation in annotations for m in _models_in(annotation, str(part))]
        elif isinstance(part, str):
            annotations = [m.model_fields[part].annotation for m in models if part in m.model_fields]
            models = [m for annotation in annotations for m in _models_in(annotation)]
    return sorted(key for m in models for key in m.model_fields)


def _models_in(annotation: object, tag: str | None = None) -> Iterator[type[BaseModel]]:
    """Yield the settings models that an annotation mentions, only those of one union member where told."""
    tags = [arg.tag for arg in get_args(annotation) if isinstance(arg, Tag)]
    if tag is not None and tags and tag not in tags:
        return
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument, tag)
