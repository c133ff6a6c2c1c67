"""A Plan as readable, editable YAML, with the reason for each decision in a comment above its key.

No disk access here. `plan_from_yaml` reads reasons from comments, as `plan_to_yaml` writes them, and from a
`reasons` mapping.
"""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from pydantic import BaseModel

from limner.core.config import parse_config, parse_yaml
from limner.core.config_problems import as_model
from limner.core.plan import Plan
from limner.core.yaml_text import ONE_LINE, compose_yaml, dump_yaml

HEADER = """\
# A limner plan: every setting of a run. The comment above a key is the reason for its value.
# Edit what you like, then train with it: limner train plan.yaml
"""

WIDTH = 100
"""Maximum line length of reasons; longer values are written over several lines."""


def plan_to_yaml(plan: Plan) -> str:
    """Return a plan as YAML, with each reason as a comment above its key."""
    values = plan.model_dump(mode="json", exclude={"reasons"})
    parts = [HEADER]
    for name, value in values.items():
        is_section = isinstance(value, dict)
        lines = "\n".join(_entry(name, value, name, plan.reasons, Plan))
        parts.append(f"\n{lines}\n" if is_section or name == "version" else f"{lines}\n")
    return "".join(parts)


def plan_from_yaml(text: str, *, where: str = "The plan") -> Plan:
    """Parse a plan, with the reasons from its comments.

    Raises:
        ConfigError: It is not YAML, or not a plan; lists every problem, one per line.
    """
    values = parse_yaml(text, where=where)
    if not isinstance(values, dict):
        return parse_config(Plan, values, where=where)
    given = values.get("reasons") or {}
    reasons = {**reasons_in_comments(text), **given} if isinstance(given, dict) else given
    return parse_config(Plan, {**values, "reasons": reasons}, where=where)


def reasons_in_comments(text: str) -> dict[str, str]:
    """Return dotted key -> the comment directly above it, its lines joined."""
    lines = text.splitlines()
    root = compose_yaml(text)
    found = {}
    for key, line, column in _keys(root, ""):
        comment = _comment_above(lines, line, column)
        if comment:
            found[key] = comment
    return found


def _entry(
    name: str,
    value: object,
    key: str,
    reasons: Mapping[str, str],
    model: type[BaseModel] | None,
    indent: int = 0,
) -> Iterator[str]:
    """Yield the lines of one key: its reason, then its value."""
    space = " " * indent
    if key in reasons:
        marker = f"{space}# "
        yield from textwrap.wrap(
            reasons[key],
            WIDTH,
            initial_indent=marker,
            subsequent_indent=marker,
            break_long_words=False,
            break_on_hyphens=False,
        )
    inner = _model_at(model, name)
    if isinstance(value, dict) and inner is not None:
        yield f"{space}{name}:"
        for child, inside in value.items():
            yield from _entry(child, inside, f"{key}.{child}", reasons, inner, indent + 2)
    else:
        yield from _value(name, value, space)


def _model_at(model: type[BaseModel] | None, name: str) -> type[BaseModel] | None:
    """Return the settings class of a section, or None where `name` is a plain value."""
    field = model.model_fields.get(name) if model is not None else None
    return None if field is None else as_model(field.annotation)


def _value(name: str, value: object, space: str) -> Iterator[str]:
    """Yield ``name: value`` on one line if it fits, else one line per entry."""
    line = f"{space}{flow(name)}: {flow(value)}"
    if len(line) <= WIDTH or not isinstance(value, (dict, list)) or not value:
        yield line
    elif isinstance(value, dict):
        yield f"{space}{flow(name)}:"
        for child, inside in value.items():
            yield from _value(child, inside, f"{space}  ")
    else:
        yield f"{space}{flow(name)}:"
        yield from (f"{space}  - {flow(item)}" for item in value)


def flow(value: object) -> str:
    """Return a value as YAML on one line."""
    text = dump_yaml(value, flow=True, width=ONE_LINE)
    return text.removesuffix("...\n").strip()


def _keys(node: Any, prefix: str) -> Iterator[tuple[str, int, int]]:  # noqa: ANN401 - yaml's nodes are untyped
    """Yield (dotted key, line, column) of every key of a composed mapping."""
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        yield name, key.start_mark.line, key.start_mark.column
        yield from _keys(value, f"{name}.")


def _comment_above(lines: list[str], line: int, column: int) -> str:
    marker = " " * column + "# "
    if lines[line][:column].strip():
        return ""  # inside {...}: the line above belongs to another key
    above = []
    while line > 0 and lines[line - 1].startswith(marker):
        line -= 1
        above.append(lines[line].removeprefix(marker))
    return " ".join(part.strip() for part in reversed(above))
