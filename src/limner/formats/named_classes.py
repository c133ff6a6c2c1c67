"""The classes of `dataset.yaml` in a dataset whose own files name classes: by name, not by position."""

from collections.abc import Iterable
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
    unknown = [c.name for c in settings.classes if not _has_value(c) and c.name not in values]
    if unknown:
        raise _unknown(unknown, values, where)
    for one in settings.classes:
        _refuse_another_value(one, values, where)
    if all(_has_value(one) for one in settings.classes):
        return settings
    rows = [c.model_dump(mode="json", exclude_defaults=True) for c in settings.classes]
    for row, one in zip(rows, settings.classes, strict=True):
        if not _has_value(one):
            row["values"] = values[one.name]
    given = settings.model_dump(mode="json", exclude_unset=True)
    return DatasetFile.model_validate({**given, "classes": rows})


def names_some(settings: DatasetFile, known: Iterable[str]) -> bool:
    """Return whether `dataset.yaml` only names a class that the files know, other than background."""
    names = {name for name in known if not _is_background(name)}
    return any(one.name in names and not _has_value(one) for one in settings.classes)


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
