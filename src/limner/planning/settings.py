"""User settings: part of a Plan, in which any value may be ``auto``, validated before anything runs."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from limner.core.config import known_keys
from limner.core.config_problems import as_model, models_in, plain_words
from limner.core.errors import ConfigError, did_you_mean, nearest
from limner.core.plan import Plan

AUTO = "auto"
"""Value that lets limner decide."""

FROM_THE_DATA = (
    *("version", "data", "reasons"),
    *("input.dtype", "input.value_range", "input.smallest_maximum", "input.orientation"),
)
"""Parts of a Plan that are not settings."""

OTHER_NAMES = {
    "lr": "optimizer.learning_rate",
    "learning_rate": "optimizer.learning_rate",
    "wd": "optimizer.weight_decay",
    "bs": "train.batch_size",
    "iterations": "train.steps",
    "iters": "train.steps",
}
"""Names in other programs -> keys, for hints; spelling does not lead from one to the other."""

SIZES = ("input.crop_size", "input.spacing_mm", "input.cascade_mm", "inference.window")
"""Keys for which one number means the same number for each axis."""

Flat = dict[str, Any]
"""Dotted key -> value, for the keys of `settable_fields`."""


@cache
def settable_fields() -> Mapping[str, FieldInfo]:
    """Return every dotted key that a user may set, with its field in the Plan."""
    return {
        key: field
        for key, field in _leaves(Plan, "")
        if key not in FROM_THE_DATA and key.partition(".")[0] not in FROM_THE_DATA
    }


def default_values() -> Flat:
    """Return the Plan's defaults by dotted key, without keys that must be decided."""
    return {
        key: field.get_default(call_default_factory=True)
        for key, field in settable_fields().items()
        if not field.is_required()
    }


def read_settings(settings: Mapping[str, Any], *, where: str = "The settings") -> Flat:
    """Validate nested settings and flatten them, omitting ``auto`` values.

    Args:
        settings: Such as ``{"train": {"steps": 2000}, "network": {"name": "auto"}}``.
        where: File or option, for the error message.

    Raises:
        ConfigError: Lists every unknown key (with the nearest known one) and every value of the wrong type or
            range, one per line.
    """
    flat: Flat = {}
    problems: list[str] = []
    for key, value in _walk(settings, ""):
        field = settable_fields().get(key)
        if field is None:
            problems.append(_unknown(key, value))
        elif value != AUTO:
            try:
                flat[key] = _adapter(key).validate_python(_as_size(key, value))
            except ValidationError as error:
                problems.append(_wrong(key, field, error, value))
            else:
                problems += _unknown_names(key, flat[key])
    if problems:
        lines = [f"{where}: invalid values:"]
        raise ConfigError("\n".join(lines + [f"  {problem}" for problem in problems]))
    return flat


def flatten(plan: Plan) -> Flat:
    """Return the settings of a plan by dotted key, as plain data, without values from the dataset."""
    values = plan.model_dump(mode="json")
    flat: Flat = {}
    for key in settable_fields():
        value: Any = values
        for part in key.split("."):
            value = value.get(part)  # what is unknown is left out of a plan
        flat[key] = value
    return flat


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Convert dotted keys to nested mappings."""
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        *path, last = key.split(".")
        level = nested
        for part in path:
            level = level.setdefault(part, {})
        level[last] = value
    return nested


def dotted(values: Mapping[str, Any], prefix: str = "") -> Flat:
    """Return nested mappings as one, with dotted keys; an empty mapping stays a value."""
    flat: Flat = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= dotted(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _leaves(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        inner = as_model(field.annotation)
        if inner is not None:
            yield from _leaves(inner, f"{prefix}{name}.")
        else:
            yield prefix + name, field


def _walk(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) down to the fields of the Plan."""
    fields = settable_fields()
    for name, value in values.items():
        key = f"{prefix}{name}"
        is_section = any(known.startswith(f"{key}.") for known in fields)
        if is_section and isinstance(value, Mapping):
            yield from _walk(value, f"{key}.")
        elif not (is_section and value in (None, AUTO)):
            yield key, value


def _unknown(key: str, value: object) -> str:
    inside = [known for known in settable_fields() if known.startswith(f"{key}.")]
    if inside:
        names = ", ".join(known.removeprefix(f"{key}.") for known in inside)
        return f"{key}: this is a section; expected some of its keys ({names}), found {value!r}"
    if key in FROM_THE_DATA or key.partition(".")[0] in FROM_THE_DATA:
        return f"{key}: this comes from the dataset and cannot be set"
    other = OTHER_NAMES.get(key.rpartition(".")[2].lower())
    if other is not None:
        return f"{key}: unknown key (did you mean {other!r}?)"
    known = list(settable_fields())
    section = [k for k in known if k.rpartition(".")[0] == key.rpartition(".")[0]]
    bare = {k.rpartition(".")[2]: k for k in reversed(known)}
    near = did_you_mean(key, section) or did_you_mean(key, [*known, *known_keys(Plan)])
    if not near:
        # For instance `--set step=100` without its section.
        like = nearest(key.rpartition(".")[2], bare)
        near = f" (did you mean {bare[like]!r}?)" if like else ""
    return f"{key}: unknown key{near}"


def _wrong(key: str, field: FieldInfo, error: ValidationError, value: object) -> str:
    detail = error.errors(include_url=False)[0]
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"])
    if detail["type"] == "missing":
        return f"{key}{place}: required key is missing"
    if detail["type"] == "extra_forbidden":
        inside = sorted(name for model in models_in(field.annotation) for name in model.model_fields)
        near = did_you_mean(str(detail["loc"][-1]), inside)
        return f"{key}{place}: unknown key{near or '; known here: ' + ', '.join(inside)}"
    known = [str(choice) for choice in get_args(field.annotation)]
    near = did_you_mean(value, known) if isinstance(value, str) else ""
    return f"{key}{place}: {plain_words(detail)}; found {detail['input']!r}{near}"


def _unknown_names(key: str, value: Any) -> Iterator[str]:  # noqa: ANN401 - of any field of the plan
    """Yield one line for each unknown name in a value."""
    from limner.tasks import TASKS, known_losses  # PyTorch, which reading other settings does without
    from limner.tracking.trackers import TRACKERS

    if key == "task":
        named: dict[str, str] = {"task": value}
        known: Iterable[str] = TASKS
    elif key == "loss.terms":
        named, known = {f"{key}[{i}].name": term.name for i, term in enumerate(value)}, known_losses()
    elif key == "train.trackers":
        named, known = {f"{key}[{i}]": name for i, name in enumerate(value)}, TRACKERS
    else:
        return
    for place, name in named.items():
        if name not in known:
            choices = ", ".join(sorted(known))
            yield f"{place}: should be one of {choices}; found {name!r}{did_you_mean(name, known)}"


def _as_size(key: str, value: object) -> object:
    return (value,) if key in SIZES and isinstance(value, (int, float)) else value


@cache
def _adapter(key: str) -> TypeAdapter[Any]:
    field = settable_fields()[key]
    parts = (field.annotation, *field.metadata)
    constrained: Any = Annotated[parts] if field.metadata else field.annotation
    return TypeAdapter(constrained, config=ConfigDict(allow_inf_nan=False))
