"""The classes of `dataset.yaml` in a dataset whose own files name classes: by name, not by position."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from limner.core.dataset_file import ClassSettings, DatasetFile
from limner.core.errors import ConfigError, describe, did_you_mean
from limner.core.labels import LabelClass

BACKGROUND_NAMES = frozenset({"background", "_background_", "__background__"})
_MOST_NAMES = 40


def with_values(
    settings: DatasetFile, known: Iterable[LabelClass], *, where: Path, background: int | None = None
) -> DatasetFile:
    """Return the settings with the value of each class that they only name.

    Args:
        settings: `dataset.yaml`. Classes with a value of their own keep it.
        known: The classes that the dataset's files name.
        where: The file or folder that names them, for errors.
        background: The value of a class called background that the files do not name, or None if every pixel
            has a class of the files.

    Raises:
        ConfigError: A class is named neither by the files nor by a value, or its value is that of a class
            with another name, while the files give its name another value.
    """
    values = {one.name: one.values for one in known}
    if background is not None:
        free = next((c.name for c in settings.classes if _is_background(c.name)), "background")
        values.setdefault(free, (background,))
    unknown = [
        name
        for c in settings.classes
        if not _has_value(c)
        for name in (c.names or (c.name,))
        if name not in values
    ]
    if unknown:
        raise _unknown(unknown, values, where)
    for one in settings.classes:
        _refuse_another_value(one, values, where)
    if all(_has_value(one) for one in settings.classes):
        return settings
    rows = [c.model_dump(mode="json", exclude_defaults=True) for c in settings.classes]
    for row, one in zip(rows, settings.classes, strict=True):
        if not _has_value(one):
            row["values"] = [v for name in one.label_names for v in values.get(name, ())]
            row.pop("names", None)
    given = settings.model_dump(mode="json", exclude_unset=True)
    return DatasetFile.model_validate({**given, "classes": rows})


def with_values_if_named(settings: DatasetFile, known: Sequence[LabelClass], *, where: Path) -> DatasetFile:
    """Return `with_values`, or the settings as they are if they name none of the known classes by name alone.

    Raises:
        ConfigError: Some of the classes that `dataset.yaml` names are known, and others are not.
    """
    names = {one.name for one in known if not _is_background(one.name)}
    named = any(names & {*one.label_names} and not _has_value(one) for one in settings.classes)
    return with_values(settings, known, where=where) if named else settings


def refuse_names(settings: DatasetFile, where: Path) -> None:
    """Refuse `names` of a class where labels are numbers, which have no names.

    Raises:
        ConfigError: A class has `names`.
    """
    if named := next((one for one in settings.classes if one.names), None):
        raise ConfigError(
            describe(
                "The labels have no names that `names` in dataset.yaml could mean",
                where=where,
                found=f"{named.name!r} with the names {', '.join(map(repr, named.names))}",
                expected="the numbers of the class in the masks, as in `values: [1, 2]`",
            )
        )


def spelling_key(name: str) -> str:
    """Return what remains of a name without capitals, blanks, hyphens, forms of accents and unseen signs."""
    seen = "".join(c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) != "Cf")
    plain = seen.casefold()
    return " ".join(re.sub(r"(?<=\w)[-_](?=\w)|_", " ", plain).split())


def _has_value(one: ClassSettings) -> bool:
    return one.value is not None or bool(one.values)


def _is_background(name: str) -> bool:
    return name.casefold() in BACKGROUND_NAMES


def _refuse_another_value(one: ClassSettings, values: dict[str, tuple[int, ...]], where: Path) -> None:
    """Refuse a value that belongs to another name, while the class's own name has another value."""
    own = one.values or (() if one.value is None else (one.value,))
    others = {value: name for name, theirs in values.items() for value in theirs}
    taken = [others[value] for value in own if value in others]
    if not own or one.name not in values or not taken or set(own) & set(values[one.name]):
        return
    raise ConfigError(
        describe(
            "dataset.yaml and the labels number a class differently",
            where=where,
            found=f"{one.name!r} with the value {own[0]}, which is {taken[0]!r} in the labels",
            expected=f"the value {values[one.name][0]}",
            fix="Remove the value: classes are found by their names.",
        )
    )


def _unknown(unknown: list[str], values: dict[str, tuple[int, ...]], where: Path) -> ConfigError:
    known = list(values)
    shown = f"{', '.join(known[:_MOST_NAMES])}{', ...' if len(known) > _MOST_NAMES else ''}"
    return ConfigError(
        describe(
            "dataset.yaml names classes that the labels do not have",
            where=where,
            found=f"{', '.join(map(repr, unknown))}{did_you_mean(unknown[0], known)}",
            expected=f"names of the labels: {shown}",
            fix="Correct the name, or add the value in the labels: {name: ..., value: ...}.",
        )
    )
