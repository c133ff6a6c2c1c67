"""Tables of other tools: CSV, TSV or text with semicolons, with or without a heading."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from limner.storage.json_files import unreadable
from limner.storage.text_files import read_lines

MAX_CELL = 2**28
"""Characters of the longest cell; the mask of one image takes megabytes as run lengths."""
_SEPARATORS = ("\t", ";", ",")


@dataclass(frozen=True)
class Table:
    """The cells of a file, without blanks around them.

    Attributes:
        heading: The cells of the first line in lower case; empty if there is none.
        rows: Line number -> cells, as many as in the first line.
    """

    heading: Sequence[str]
    rows: dict[int, list[str]]

    def column(self, *names: str) -> int | None:
        """Return the position of the first of these names in the heading, or None."""
        return next((self.heading.index(name) for name in names if name in self.heading), None)


def table_of(lines: Sequence[str], *, has_heading: bool = True) -> Table:
    """Split lines into cells; lines with fewer cells than the first one are filled up.

    Raises:
        ValueError: A cell is longer than `MAX_CELL`, or quotes are broken.
    """
    first = next((line for line in lines if line.strip()), "")
    separator = max(_SEPARATORS, key=first.count)
    limit = csv.field_size_limit(MAX_CELL)
    try:
        reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
        listed = {n: row for row in reader if any(row) and (n := reader.line_num)}
    except csv.Error as error:
        raise ValueError(str(error)) from None
    finally:
        csv.field_size_limit(limit)
    if not listed:
        return Table((), {})
    width = len(next(iter(listed.values())))
    filled = {number: [*row, *[""] * (width - len(row))][:width] for number, row in listed.items()}
    rows = {number: [cell.strip() for cell in row] for number, row in filled.items()}
    heading = [cell.casefold() for cell in rows.pop(next(iter(rows)))] if has_heading else ()
    return Table(heading, rows)


def read_csv(path: Path, *, what: str, has_heading: bool = True) -> Table:
    """Return the cells of a text file.

    Args:
        path: The file.
        what: What it holds, such as ``The table of boxes``.
        has_heading: Whether the first line names the columns.

    Raises:
        DataError: It cannot be read, is no text, or no table.
    """
    lines = read_lines(path, what=what)
    try:
        return table_of(lines, has_heading=has_heading)
    except ValueError as error:
        raise unreadable(path, what=what, found=str(error), expected="a table in CSV") from None
