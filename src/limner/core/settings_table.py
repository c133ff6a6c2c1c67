"""Settings models as tables in Markdown: each key with its default, the values it takes, and what it does."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from limner.core.plan_text import flow

HEAD = ("| setting | default | values | what it does |", "|---|---|---|---|")

CHOSEN = "chosen"
"""Default of a setting without one, which limner always decides."""

Schema = Mapping[str, Any]

_KINDS = {"integer": "whole number", "number": "number", "boolean": "true, false", "string": "text"}
_MANY = {"whole number": "whole numbers", "number": "numbers", "mapping": "mappings", "text": "texts"}


def settings_table(model: type[BaseModel], prefix: str = "", *, leave_out: tuple[str, ...] = ()) -> list[str]:
    """Return the lines of a table with a row for each setting of a model, and for those of models inside it.

    Args:
        model: The settings class; its fields have descriptions.
        prefix: What is before each key, such as ``train.``.
        leave_out: Keys, with the prefix, that have no row.
    """
    schema = model.model_json_schema()
    rows = _rows(schema, schema.get("$defs", {}), prefix)
    return [*HEAD, *(row for key, row in rows if key not in leave_out)]


def _rows(schema: Schema, models: Schema, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield (key, line of the table) of a mapping's keys, then of the keys inside each."""
    for name, field in schema.get("properties", {}).items():
        key = f"{prefix}{name}"
        default = f"`{flow(field['default'])}`" if "default" in field else CHOSEN
        text = " ".join(field.get("description", "").split())
        cells = (f"`{key}`", default, _values(field), text)
        yield key, f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
        for inner, is_listed in _models_in(field):
            yield from _rows(models[inner], models, f"{key}[]." if is_listed else f"{key}.")


def _models_in(field: Schema, *, is_listed: bool = False) -> Iterator[tuple[str, bool]]:
    """Yield the models that a value may be, and whether it is a list of them."""
    if "$ref" in field:
        yield field["$ref"].rpartition("/")[2], is_listed
    for option in (*field.get("anyOf", ()), *field.get("allOf", ())):
        yield from _models_in(option, is_listed=is_listed)
    if isinstance(field.get("items"), Mapping):
        yield from _models_in(field["items"], is_listed=True)


def _values(field: Schema) -> str:
    """Return the values that a field takes, in words."""
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_values(option) for option in field["anyOf"]))
    if "enum" in field:
        return ", ".join(f"`{flow(value)}`" for value in field["enum"])
    if "const" in field:
        return f"`{flow(field['const'])}`"
    if "$ref" in field or "allOf" in field:
        return "mapping"
    kind = field.get("type")
    if kind == "null":
        return "`null`"
    if kind == "array":
        return _list(field)
    if kind == "object":
        return "mapping"
    return f"{_KINDS.get(str(kind), 'any')}{_range(field)}"


def _list(field: Schema) -> str:
    """Return what a list holds."""
    items = field.get("prefixItems")
    one = _values(items[0] if items else field.get("items", {}))
    noun = next((noun for noun in _MANY if one.startswith(noun)), "")
    several = _MANY[noun] + one.removeprefix(noun) if noun else one
    return f"{len(items)} {several}" if items else f"list of {several}"


def _range(field: Schema) -> str:
    """Return the limits of a number, such as `` from 0 to 1`` or `` above 0``."""
    low, above = field.get("minimum"), field.get("exclusiveMinimum")
    high, below = field.get("maximum"), field.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}"
    words = {"at least": low, "above": above, "at most": high, "below": below}
    limits = ", ".join(f"{word} {limit:g}" for word, limit in words.items() if limit is not None)
    return f" {limits}" if limits else ""
