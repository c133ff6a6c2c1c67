"""The plan: the main decisions with their reasons, then every setting."""

import json
from collections.abc import Iterator, Mapping

from limner.reporting.markup import Html, prose, tag
from limner.reporting.run_facts import RunFacts

OUTSIDE = {"version", "reasons", "task"}
LABELS = "data.labels"
MAIN = (
    "network.name",
    "network.options",
    "input.resize",
    "input.crop_size",
    "augment.scale",
    "augment.scale_of",
    "augment.flip_axes",
    "augment.quarter_turns",
    "loss.terms",
    "loss.class_weights",
    "optimizer.learning_rate",
    "train.steps",
    "train.batch_size",
    "train.precision",
)
"""Decisions shown first; the others are in the list of all settings."""


def settings(facts: RunFacts) -> Html:
    """Return the main decisions and, collapsed, all settings."""
    if facts.plan is None:
        return tag("p", "There is no readable plan.yaml in this run.", class_="empty")
    values = flat_settings(facts)
    reasons = facts.plan.reasons
    main = [key for key in reasons if key in MAIN] if len(reasons) > len(MAIN) else list(reasons)
    grouped = [key for key in reasons if key not in values]
    decisions = _table([_row(key, _lookup(values, key), reasons[key]) for key in main])
    every = _table([_row(key, _lookup(values, key), reasons.get(key)) for key in [*values, *grouped]])
    nothing = tag("p", "This plan states no reasons.", class_="empty")
    folded = tag("details", tag("summary", f"All {len(values)} settings"), every)
    return tag("div", decisions if main else nothing, folded)


def flat_settings(facts: RunFacts) -> dict[str, str]:
    """Return dotted key -> value as text for every setting; empty without a plan."""
    if facts.plan is None:
        return {}
    return dict(_flatten(facts.plan.model_dump(mode="json", exclude=OUTSIDE)))


def _table(rows: list[Html]) -> Html:
    head = tag("tr", tag("th", "Setting"), tag("th", "Value"), tag("th", "Reason"))
    return tag("div", tag("table", tag("thead", head), tag("tbody", rows), class_="plan"), class_="scroll")


def _row(key: str, value: str, reason: str | None) -> Html:
    because = tag("td", None if reason is None else prose(reason), class_="because")
    return tag("tr", tag("th", tag("code", key), scope="row"), tag("td", value, class_="value"), because)


def _flatten(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield dotted key and value as YAML-like text; the labels are skipped, as they have their own table."""
    for name, value in values.items():
        key = prefix + name
        if key == LABELS:
            continue
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{key}.")
        else:
            yield key, _text(value)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if value is None or value in ({}, []):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list) and all(isinstance(v, int | float | str) for v in value):
        return " × ".join(map(_text, value)) if _is_size(value) else ", ".join(map(_text, value))
    if isinstance(value, list) and all(isinstance(v, dict) and "name" in v for v in value):
        return " + ".join(map(_term, value))
    return json.dumps(value, ensure_ascii=False)


def _term(term: Mapping[str, object]) -> str:
    """Return one term of the loss, such as ``0.5 × dice (smoothing: 0.1)``."""
    weight = "" if term.get("weight", 1.0) == 1.0 else f"{_text(term['weight'])} × "
    options = term.get("options")
    inside = ", ".join(f"{k}: {_text(v)}" for k, v in options.items()) if isinstance(options, dict) else ""
    return f"{weight}{term['name']}" + (f" ({inside})" if inside else "")


def _is_size(value: list[object]) -> bool:
    return len(value) in (2, 3) and all(isinstance(v, int) and v > 3 for v in value)


def _lookup(values: Mapping[str, str], key: str) -> str:
    """Return the value of a setting, or of a group of settings such as `augment`."""
    inside = [f"{k.removeprefix(key + '.')}: {v}" for k, v in values.items() if k.startswith(f"{key}.")]
    return values.get(key, "; ".join(inside))
