"""Pydantic's validation errors in plain words, with the key and the nearest known key."""

from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel, Tag
from pydantic_core import ErrorDetails

from limner.core.errors import did_you_mean

# pydantic's messages for these are about Python types, or redundant.
_PLAIN = {
    "model_type": "should be a mapping, one `key: value` per line",
    "tuple_type": "should be a list",
    "int_parsing": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_parsing": "should be a number",
    "bool_parsing": "should be true or false",
    "string_type": "should be text",
}


def union_tag(name: str) -> Tag:
    """Return the tag of one member of a union of settings, for pydantic's `Discriminator`.

    Without a discriminator, pydantic reports the errors of every member, under names that it makes up. The
    angle brackets distinguish tags from keys, so that messages can leave them out.
    """
    return Tag(f"<{name}>")


def as_model(annotation: object) -> type[BaseModel] | None:
    """Return a field's annotation if it is a settings model, else None."""
    # In Python 3.10, `tuple[int, ...]` passes isinstance(..., type) but fails in issubclass.
    if get_origin(annotation) is None and isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return None


def problem(model: type[BaseModel], detail: ErrorDetails) -> str:
    """Describe one validation error on one line: key, problem, and nearest known key."""
    location = tuple(detail["loc"])
    key = ".".join(str(part) for part in location if not _is_tag(part))
    if detail["type"] == "extra_forbidden":
        known = _keys_beside(model, location)
        near = did_you_mean(str(location[-1]), known)
        return f"{key}: unknown key{near or '; known here: ' + ', '.join(known)}"
    if detail["type"] == "missing":
        what = "key" if isinstance(location[-1], str) else "list item"
        return f"{key}: required {what} is missing"
    problem = plain_words(detail)
    # A validator of several keys gets their whole mapping as input, which is too long to show.
    found = "" if isinstance(detail["input"], dict) else f"; found {detail['input']!r}"
    return f"{key}: {problem}{found}" if key else f"{problem}{found}"


def plain_words(detail: ErrorDetails) -> str:
    """Return the problem of one value, such as ``should be a whole number``."""
    return _PLAIN.get(detail["type"], detail["msg"].removeprefix("Value error, ").removeprefix("Input "))


def _is_tag(part: str | int) -> bool:
    return isinstance(part, str) and part.startswith("<")


def _keys_beside(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """Return the keys that are valid at a location."""
    models: list[type[BaseModel]] = [model]
    annotations: list[Any] = []
    for part in location[:-1]:
        if _is_tag(part):
            models = [m for annotation in annotations for m in models_in(annotation, str(part))]
        elif isinstance(part, str):
            annotations = [m.model_fields[part].annotation for m in models if part in m.model_fields]
            models = [m for annotation in annotations for m in models_in(annotation)]
    return sorted(key for m in models for key in m.model_fields)


def models_in(annotation: object, tag: str | None = None) -> Iterator[type[BaseModel]]:
    """Yield the settings models in an annotation; with `tag`, only those of that union member."""
    tags = [arg.tag for arg in get_args(annotation) if isinstance(arg, Tag)]
    if tag is not None and tags and tag not in tags:
        return
    model = as_model(annotation)
    if model is not None:
        yield model
    for argument in get_args(annotation):
        yield from models_in(argument, tag)
