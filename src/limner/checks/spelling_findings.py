"""Classes whose names differ in spelling only: in capitals, blanks or the form of accents."""

import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from limner.checks.codes import make
from limner.checks.label_rows import LabelRow
from limner.core.finding import Finding
from limner.core.labels import LabelTable
from limner.formats.named_classes import spelling_key

MAX_SHOWN = 4


def spelling_findings(table: LabelTable | None, rows: Sequence[LabelRow]) -> list[Finding]:
    """Return the finding about names that differ in spelling only, with a table that unites them.

    Args:
        table: The classes as the labels name them, which `dataset.yaml` does not.
        rows: The counts of each class.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for name in table.names if table else ():
        groups[spelling_key(name)].append(name)
    alike = [names for names in groups.values() if len(names) > 1]
    if table is None or not alike:
        return []
    images = {row.name: row.images for row in rows}
    shown = "; ".join(
        ", ".join(f"{spelled(name)} in {images.get(name, 0)} images" for name in names)
        for names in alike[:MAX_SHOWN]
    )
    more = f"; and {len(alike) - MAX_SHOWN} more" if len(alike) > MAX_SHOWN else ""
    number = sum(map(len, alike))
    return [
        make(
            "class-spelled-differently",
            "the classes",
            f"{number} names of classes that may be {len(alike)}: {shown}{more}",
            expected="one spelling of each class; for now, each spelling is a class of its own",
            fix="Accept that they are one class, under its most common name; or list `classes` in "
            "dataset.yaml to keep them apart.",
            proposal={"classes": _united(table, groups, images)},
        )
    ]


def _united(table: LabelTable, groups: dict[str, list[str]], images: dict[str, int]) -> list[dict[str, Any]]:
    """Return the classes of `dataset.yaml`, one for each group of names, in the order of the table."""
    things = {c.name: c.is_thing for c in table.classes}
    usual = all(thing in (None, name != "background") for name, thing in things.items())
    rows: list[dict[str, Any]] = []
    for names in groups.values():
        best = min(names, key=lambda name: (-images.get(name, 0), name != _clean(name), name.isupper()))
        row: dict[str, Any] = {"name": best} | ({"names": names} if len(names) > 1 else {})
        rows.append(row if usual else row | {"is_thing": bool(things[best])})
    return rows


def _clean(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).split())


def spelled(name: str) -> str:
    r"""Return a name in quotes, with invisible characters escaped: ``'Zelle\xa0'``, ``'Gefa\u0308ß'``."""
    return "".join(ascii(c)[1:-1] if unicodedata.combining(c) else c for c in repr(name))


def unambiguous(name: str) -> str:
    """Return a name unchanged, or `spelled` if it has invisible characters."""
    return name if name == _clean(name) else spelled(name)
