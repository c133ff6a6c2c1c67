"""Text in tables that spreadsheets open: a name like ``=1+1`` is no formula there."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?[\d.]+(e[+-]?\d+)?", re.IGNORECASE)


def cell(text: str) -> str:
    """Return text for a cell, with an apostrophe before what a spreadsheet would take for a formula."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def text_of(cell: str) -> str:
    """Return the text of a cell that `cell` made."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def csv_lines(rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield rows as lines of CSV, which end with one character; the first is usually the heading."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        writer.writerow(row)
        yield text.getvalue()
        text.seek(0)
        text.truncate()


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV, see `csv_lines`."""
    return "".join(csv_lines(rows))
