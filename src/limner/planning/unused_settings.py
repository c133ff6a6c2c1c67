"""Settings that have no effect together with others: they are refused where the user has set them."""

from collections.abc import Iterator, Mapping

from limner.core.errors import ConfigError
from limner.planning.settings import Flat, default_values

NEEDED: Mapping[str, tuple[str, tuple[object, ...]]] = {
    "optimizer.momentum": ("optimizer.name", ("sgd",)),
    "optimizer.betas": ("optimizer.name", ("adam", "adamw")),
    "schedule.power": ("schedule.name", ("poly",)),
    "schedule.final_factor": ("schedule.name", ("poly", "cosine", "one_cycle")),
    "schedule.milestones": ("schedule.name", ("step",)),
    "schedule.gamma": ("schedule.name", ("step", "plateau")),
    "schedule.patience": ("schedule.name", ("plateau",)),
    "augment.saturation": ("input.channels", (3,)),
    "augment.hue": ("input.channels", (3,)),
    "augment.jpeg": ("input.channels", (1, 3)),
}
"""Setting -> another one, and the values of it with which the first has an effect."""

PARTS_OF: Mapping[str, str] = {
    "augment.change_strength": "augment.random_changes",
    "augment.elastic_grid": "augment.elastic",
    "augment.elastic_probability": "augment.elastic",
    "augment.crop_aspect": "augment.crop_area",
    "input.reduced_decoding": "input.resize",
    "train.unlabelled_share": "train.unlabelled",
}
"""Setting -> the one that switches on what it is a part of."""

REPLACED: Mapping[str, tuple[str, object]] = {
    "augment.cut_first": ("augment.crop_area", 0.0),
    "augment.scale": ("augment.crop_area", (1.0, 1.0)),
    "augment.category_max_ratio": ("augment.crop_area", 1.0),
    "augment.foreground_probability": ("augment.crop_area", 0.0),
    "input.reduced_decoding": ("augment.crop_area", None),
}
"""Setting -> the one that replaces it, and the value that plans have then."""


def refuse_unused_settings(user: Flat, settled: Flat) -> None:
    """Refuse settings of the user that change nothing; those with their usual values are accepted.

    Args:
        user: The user's settings, by dotted key.
        settled: All settings.

    Raises:
        ConfigError: There is one; the message has a line for each.
    """
    usual = default_values()
    changed = {key for key, value in user.items() if value != usual.get(key) and value}
    if problems := [*_problems(changed, settled)]:
        raise ConfigError("\n".join(["Settings without any effect:", *(f"  {each}" for each in problems)]))


def _problems(changed: set[str], settled: Flat) -> Iterator[str]:
    for key, (other, values) in NEEDED.items():
        if key in changed and settled[other] not in values:
            yield f"{key} is for {other} {_either(values)}; found {settled[other]}. Omit {key}."
    for key, whole in PARTS_OF.items():
        if key in changed and not settled[whole]:
            yield f"{key} is a part of {whole}, which is off. Set {whole} too, or omit {key}."
    for key, (other, neutral) in REPLACED.items():
        if key in changed and settled[other] is not None and settled[key] != neutral:
            yield f"{key} has no effect with {other}, which says what a crop shows. Omit {key}."


def _either(values: tuple[object, ...]) -> str:
    *others, last = map(str, values)
    return f"{', '.join(others)} or {last}" if others else last
