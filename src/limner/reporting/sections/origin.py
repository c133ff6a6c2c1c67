"""How to reproduce the run, and the licence and origin of the model."""

import shlex
from collections.abc import Iterator, Mapping

from limner.reporting.markup import Html, tag
from limner.reporting.numbers import count
from limner.reporting.run_facts import RunFacts

COMMAND_KEYS = ("command", "command_line", "argv")
LICENCE_KEYS = ("licence", "license")
ABOUT_KEYS = ("parameters", "created")


def reproduce(facts: RunFacts) -> Html:
    """Return the command, the versions and the machine of the run."""
    if not facts.environment:
        return tag(
            "p", "There is no environment.json in this run, so its command is unknown.", class_="empty"
        )
    command = _command(facts.environment)
    rest = {k: v for k, v in facts.environment.items() if k not in COMMAND_KEYS}
    return tag(
        "div",
        _code_block(command) if command else tag("p", "The command was not recorded.", class_="empty"),
        tag("p", _reproducibility(facts), class_="muted"),
        _list(rest),
    )


def rights(facts: RunFacts) -> Html:
    """Return licence and origin of the model, as stated in its folder."""
    licence = next((facts.model[key] for key in LICENCE_KEYS if facts.model.get(key)), None)
    origin = facts.model.get("origin")
    stated = dict(origin) if isinstance(origin, Mapping) else {"origin": origin} if origin else {}
    stated |= {key: facts.model[key] for key in ABOUT_KEYS if key in facts.model}
    unknown = (
        "No licence is stated for the model. Before you share it, check what the licence of its training "
        "data allows."
    )
    return tag(
        "div",
        tag("p", f"Licence of the model: {licence}.") if licence else tag("p", unknown, class_="empty"),
        _list(stated),
    )


def _reproducibility(facts: RunFacts) -> str:
    """State whether repeating the command gives the same model."""
    seed = f"The seed is {facts.plan.train.seed}. " if facts.plan else ""
    if facts.plan and facts.plan.train.minutes is not None:
        return (
            f"{seed}Training had a budget of {facts.plan.train.minutes:g} min, so the "
            "number of steps depends on the speed of the machine, and scores vary slightly between runs."
        )
    return f"{seed}The same data, versions and machine give the same model."


def _command(environment: Mapping[str, object]) -> str:
    for key in COMMAND_KEYS:
        command = environment.get(key)
        if isinstance(command, list):
            return shlex.join(map(str, command))
        if command:
            return str(command)
    return ""


def _code_block(text: str) -> Html:
    copy = tag("button", "Copy", type="button", class_="copy", hidden=True)
    return tag("div", tag("pre", tag("code", text)), copy, class_="command")


def _list(values: Mapping[str, object]) -> Html:
    rows = [(tag("dt", key.replace("_", " ")), tag("dd", text)) for key, text in _flatten(values)]
    return tag("dl", rows, class_="facts")


def _flatten(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield names and texts: one line per group of plain values; nested groups are flattened."""
    for name, value in values.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and any(isinstance(v, Mapping | list) for v in value.values()):
            yield from _flatten(value, f"{key} · ")
        else:
            yield key, _text(value)


def _text(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{str(k).replace('_', ' ')} {_text(v)}" for k, v in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(_text, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value) if value >= 10_000 else str(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)
