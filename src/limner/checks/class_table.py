"""The label rows as people read them, in the terminal and on the page: one table, two renderings."""

from collections.abc import Sequence
from dataclasses import dataclass

from limner.checks.label_case import number_list
from limner.checks.label_rows import MOST_ABSENT, LabelRow
from limner.core.labels import LabelTable

MOST_COLORS = 4
"""Colours of one class in the mask that are written out."""


@dataclass(frozen=True)
class ClassTableRow:
    """One line of the table.

    Attributes:
        name: The class, ``ignored``, or ``not named``.
        values: What stands for it in the mask: numbers and ranges, colours, or a side of the threshold.
        trained_as: Its number, ``ignored``, or ``?``.
        is_named: A class or the ignored values; not a value that no class covers.
        is_class: A class that is trained.
        found: Its colour, pixels and images.
    """

    name: str
    values: str
    trained_as: str
    is_named: bool
    is_class: bool
    found: LabelRow


@dataclass(frozen=True)
class ClassTable:
    """The whole table.

    Attributes:
        splits: Its columns.
        rows: The lines to show, in trained order.
        absent: Classes in no mask, where they are too many to show.
    """

    splits: tuple[str, ...]
    rows: tuple[ClassTableRow, ...]
    absent: tuple[ClassTableRow, ...]


def class_table(rows: Sequence[LabelRow], labels: LabelTable | None) -> ClassTable:
    """Derive what terminal and page show.

    Args:
        rows: What check counted.
        labels: The classes behind the rows, settled or proposed.
    """
    shown = [_class_row(row, labels) for row in rows]
    absent = tuple(row for row in shown if row.is_class and not row.found.images)
    splits = tuple(rows[0].splits) if rows else ()
    if len(absent) <= MOST_ABSENT:
        return ClassTable(splits, tuple(shown), ())
    return ClassTable(splits, tuple(row for row in shown if row not in absent), absent)


def _class_row(row: LabelRow, labels: LabelTable | None) -> ClassTableRow:
    is_named = row.trained_as is not None
    return ClassTableRow(
        name=row.name if is_named else "not named",
        values=_values(row, labels),
        trained_as="ignored" if row.is_ignored else str(row.trained_as) if is_named else "?",
        is_named=is_named,
        is_class=row.is_class,
        found=row,
    )


def _values(row: LabelRow, labels: LabelTable | None) -> str:
    encoding = None if labels is None else labels.encoding
    if encoding is not None and encoding.kind == "color":
        shown = ", ".join(f"#{value:06x}" for value in row.values[:MOST_COLORS])
        return shown + (", ..." if len(row.values) > MOST_COLORS else "")
    if encoding is not None and encoding.threshold is not None and row.trained_as in (0, 1):
        return f"> {encoding.threshold}" if row.trained_as else f"0-{encoding.threshold}"
    return number_list(list(row.values))
