"""Matching the classes of a dataset with those of a model, by name."""

from limner.core.errors import DataError, describe
from limner.core.labels import LabelClass, LabelTable


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
                fix="Rename the classes in dataset.yaml, or list the values of the others under `ignored`.",
            )
        )
    classes = []
    for index, own in enumerate(model.classes):
        named = by_name.get(own.name.casefold())
        # No mask holds a negative value, so a class the data does not name can never be read.
        values = named.values if named else (-1 - index,)
        classes.append(LabelClass(own.name, values, own.color, own.is_thing))
    return LabelTable(tuple(classes), data.ignored_values, data.encoding)
