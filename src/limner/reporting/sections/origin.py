"""How to get this run again, and what the model may be used for."""

import shlex
from collections.abc import Iterator, Mapping

from limner.reporting.markup import Html, tag
from limner.reporting.numbers import count
from limner.reporting.run_facts import RunFacts

COMMAND_KEYS = ("command", "command_line", "argv")
LICENCE_KEYS = ("licence", "license")
ABOUT_KEYS = ("parameters", "created")


def reproduce(facts: RunFacts) -> Html:
    """Return the command, and the versions and machine it ran with."""
    if not facts.environment:
        return tag(
            "p", "There is no environment.json in this run, so its command is not known.", class_="empty"
        )
    command = _command(facts.environment)
    rest = {k: v for k, v in facts.environment.items() if k not in COMMAND_KEYS}
    return tag(
        "div",
        _code_block(command) if command else tag("p", "The command was not recorded.", class_="empty"),
        tag("p", _promise(facts), class_="muted"),
        _list(rest),
    )


def rights(facts: RunFacts) -> Html:
    """Return licence and origin of the model, as its folder states them."""
    licence = next((facts.model[key] for key in LICENCE_KEYS if facts.model.get(key)), None)
    origin = facts.model.get("origin")
    stated = dict(origin) if isinstance(origin, Mapping) else {"origin": origin} if origin else {}
    stated |= {key: facts.model[key] for key in ABOUT_KEYS if key in facts.model}
    unknown = (
        "The model states no licence. Whoever passes it on should look up what the licence of the data it "
        "was trained on allows."
    )
    return tag(
        "div",
        tag("p", f"Licence of the model: {licence}.") if licence else tag("p", unknown, class_="empty"),
        _list(stated),
    )


def _promise(facts: RunFacts) -> str:
    """Say what repeating the command gives; a time budget makes the number of steps depend on the machine."""
    seed = f"The seed is {facts.plan.train.seed}. " if facts.plan else ""
    if facts.plan and facts.plan.train.minutes is not None:
        return (
            f"{seed}Training had a budget of {facts.plan.train.minutes:g} min, so another run takes as "
            "many steps as the machine then manages, and its scores differ a little."
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
    """Yield names and texts: a group of plain values on one line, groups of groups name by name."""
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
