"""Names and tables for classes without names."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from limner.core.dataset_file import DatasetFile
from limner.core.labels import (
    LabelClass,
    LabelTable,
    distinct_color,
    pack_rgb,
    unpack_rgb,
    voc_color,
)

BACKGROUND = "background"
FOREGROUND = "foreground"


VOC_ORDER = {pack_rgb(voc_color(index)): index for index in range(255)}
"""Packed colour -> its index in PASCAL VOC's palette, which most labelling tools use."""

VOC_BORDER = pack_rgb((224, 224, 192))
"""PASCAL VOC's colour for the ignored borders of objects."""


def plain_table(
    values: Iterable[int], settings: DatasetFile, *, ignored: Sequence[int] = (), of_volumes: bool = False
) -> LabelTable:
    """Return the table of unnamed values in ascending order: background and foreground, or by number.

    Args:
        values: The values found in the masks.
        settings: `dataset.yaml`, with its ignored values.
        ignored: Further values that the format ignores.
        of_volumes: Whether the masks are those of volumes, in which 0 is the background by convention.
    """
    encoding = settings.encoding
    left_out = tuple(dict.fromkeys((*settings.ignored_values, *ignored)))
    ordered = sorted(set(values) - set(left_out))
    if encoding.kind == "threshold":
        ordered = [0, 1]
    classes = tuple(
        LabelClass(name, (value,), distinct_color(index))
        for index, (value, name) in enumerate(
            zip(ordered, value_names(ordered, of_volumes=of_volumes), strict=True)
        )
    )
    return LabelTable(classes, left_out, encoding)


def value_names(values: Sequence[int], *, of_volumes: bool = False) -> list[str]:
    """Return a name for each value, with the value in it.

    With more than two classes of images, none is called background, since foreground scores would then
    exclude a real class, such as the sky. In volumes, 0 is the background, as in all formats that name it.
    """
    if len(values) == 2:
        return [BACKGROUND, FOREGROUND]
    return [BACKGROUND if of_volumes and value == 0 else f"class {value}" for value in values]


def color_proposal(counts: Mapping[int, int]) -> dict[str, Any]:
    """Return the part of `dataset.yaml` that defines a class for each packed colour.

    Colours of the VOC palette keep its order; otherwise black is first, then the most common colours.
    """
    inner = [color for color in counts if color != VOC_BORDER]
    if all(color in VOC_ORDER for color in inner):
        ordered = sorted(inner, key=VOC_ORDER.__getitem__)
        names = [BACKGROUND if not color else f"class {VOC_ORDER[color]}" for color in ordered]
    else:
        inner = list(counts)
        ordered = sorted(inner, key=lambda color: (color != 0, -counts[color]))
        names = [
            BACKGROUND if not color else f"class {i}"
            for i, color in enumerate(ordered, start=ordered[0] != 0)
        ]
    if len(ordered) == 2:
        names = [BACKGROUND, FOREGROUND]
    classes = [{"name": n, "color": list(unpack_rgb(c))} for n, c in zip(names, ordered, strict=True)]
    proposal: dict[str, Any] = {"mask_encoding": "color", "classes": classes}
    if len(ordered) < len(counts):
        proposal["ignored"] = [list(unpack_rgb(VOC_BORDER))]
    return proposal


def two_classes(
    settings: DatasetFile, background: Sequence[int], foreground: Sequence[int]
) -> list[dict[str, Any]]:
    """Return two classes of `dataset.yaml` with these values and the user's names and colours."""
    rows: list[dict[str, Any]] = []
    for index, (name, values) in enumerate(((BACKGROUND, background), (FOREGROUND, foreground))):
        row: dict[str, Any] = {"name": name}
        if len(settings.classes) == 2:
            given = settings.classes[index]
            row = given.model_dump(mode="json", exclude_unset=True, exclude={"value", "values"})
        rows.append(row | ({"value": values[0]} if len(values) == 1 else {"values": list(values)}))
    return rows
