"""Matching the classes of a dataset with those of a model, by name or by position."""

from collections.abc import Sequence
from dataclasses import replace

from limner.core.errors import DataError, describe
from limner.core.labels import LabelTable


def match_labels(model: LabelTable, data: LabelTable, *, where: str) -> LabelTable:
    """Return the data's mask values in the model's class order.

    Names are compared case-insensitively. Classes of the model that are missing in the data never occur in
    the truth; pixels predicted as one of these classes are errors.

    Args:
        model: The classes the model was trained on.
        data: The classes that the data declares.
        where: The data, for the error message.

    Raises:
        DataError: The data names a class that the model does not know.
    """
    by_name = {c.name.casefold(): c for c in data.classes}
    unknown = [c.name for c in data.classes if c.name.casefold() not in {n.casefold() for n in model.names}]
    if unknown:
        shared = [name for name in data.names if name not in unknown]
        known = f"; {', '.join(shared)} would match" if shared else "; no class of the data matches"
        raise DataError(
            describe(
                "The data has classes that the model was not trained on",
                where=where,
                found=", ".join(unknown) + known,
                expected=f"some of the model's: {', '.join(model.names)}",
                fix="Rename the classes in dataset.yaml, or list the values of the others under `ignored`."
                + position_advice(model, data),
            )
        )
    # No mask holds a negative value, so a class the data does not name can never be read.
    named = [by_name.get(own.name.casefold()) for own in model.classes]
    return _with_values(model, data, [c.values if c else (-1 - i,) for i, c in enumerate(named)])


def match_by_position(model: LabelTable, data: LabelTable, *, where: str) -> LabelTable:
    """Return the data's mask values in the model's class order, the first class as the first, and so on.

    Args:
        model: The classes the model was trained on.
        data: As many classes, in the order of the model's.
        where: The data, for the error message.

    Raises:
        DataError: The numbers of classes differ.
    """
    if data.num_classes != model.num_classes:
        raise DataError(
            describe(
                "Classes can be matched by position only if there are as many in the data as in the model",
                where=where,
                found=f"{data.num_classes}: {', '.join(data.names)}",
                expected=f"{model.num_classes}: {', '.join(model.names)}",
                fix="Match them by name: name the classes in dataset.yaml like the model's.",
            )
        )
    return _with_values(model, data, [c.values for c in data.classes])


def position_advice(model: LabelTable, data: LabelTable) -> str:
    """Return a sentence on matching by position if it is possible, else an empty string."""
    if model.num_classes != data.num_classes:
        return ""
    pairs = ", ".join(f"{theirs} as {own}" for theirs, own in zip(data.names, model.names, strict=True))
    return f" If the classes are in the model's order ({pairs}), evaluate with --by-position."


def with_current_values(own: LabelTable, data: LabelTable) -> LabelTable:
    """Return a run's classes with the mask values that its data has for them now.

    Args:
        own: The classes of the run; returned as they are if the data does not name all of them.
        data: The classes that the data declares, with further classes perhaps, which are then ignored.
    """
    values = {c.name: c.values for c in data.classes}
    if not {*own.names} <= values.keys() or all(c.values == values[c.name] for c in own.classes):
        return own
    classes = tuple(replace(c, values=values[c.name]) for c in own.classes)
    others = tuple(v for c in data.classes if c.name not in own.names for v in c.values)
    return replace(own, classes=classes, ignored_values=(*data.ignored_values, *others))


def _with_values(model: LabelTable, data: LabelTable, values: Sequence[tuple[int, ...]]) -> LabelTable:
    classes = [replace(own, values=these) for own, these in zip(model.classes, values, strict=True)]
    return LabelTable(tuple(classes), data.ignored_values, data.encoding)
