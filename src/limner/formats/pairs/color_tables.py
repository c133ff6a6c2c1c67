"""Tables of classes beside the masks: class_dict.csv, label_colors.txt, labelmap.txt, ...

One class a line, in any order of columns: a name, its colour as three numbers or as #rrggbb, or its value in
the masks as one number. Separators are commas, semicolons, colons, tabs or spaces; `#` begins a remark.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

from limner.core.errors import DataError, describe
from limner.core.labels import (
    RGB,
    LabelClass,
    LabelTable,
    MaskEncoding,
    distinct_color,
    pack_rgb,
)
from limner.formats.file_tree import FileTree
from limner.images.file_names import is_image_name
from limner.images.read_image import image_header
from limner.storage.json_files import parse_json
from limner.storage.text_files import read_lines
from limner.storage.usable_numbers import is_number

_STEM = re.compile(
    r"_?(?=.*(class|label|palette|colou?r_?map))"
    r"((class(es)?|labels?|dict(ionary)?|colou?rs?|map|palette|table|seg|info)[_\-]?)+",
    re.IGNORECASE,
)
_SUFFIXES = (".csv", ".txt", ".tsv", ".json")
_HEX = re.compile(r"#([0-9a-f]{6})\b", re.IGNORECASE)
WHAT = "The table of classes"
_MAX_BYTES = 256 * 1024
_MAX_ROWS = 255
"""Longer lists without colours are lists of images; `dataset.yaml` can name more classes."""
_MAX_MASKS_TRIED = 5
VOID_NAMES = frozenset({"void", "unlabelled", "unlabeled", "unknown", "ignore", "ignored", "__ignore__"})
"""Classes with these names are ignored, since they mark unlabelled pixels."""


@dataclass(frozen=True)
class TableRow:
    """One class of such a table, with a colour, a value, or both."""

    name: str
    color: RGB | None
    value: int | None


def find_table(root: Path, tree: FileTree) -> tuple[PurePosixPath, tuple[TableRow, ...]] | None:
    """Return the first of `tables_of_classes`, or None."""
    return next(tables_of_classes(root, tree), None)


def tables_of_classes(root: Path, tree: FileTree) -> Iterator[tuple[PurePosixPath, tuple[TableRow, ...]]]:
    """Yield the tables that give each class a colour or a value, those nearest to `root` first."""
    named = [p for p in tree.others if p.suffix.lower() in _SUFFIXES and _STEM.fullmatch(p.stem)]
    for path in sorted(named, key=lambda p: (len(p.parts), p)):
        rows = read_table(root / path)
        if len(rows) >= 2 and (all(r.color for r in rows) or all(r.value is not None for r in rows)):
            yield path, rows


def read_table(path: Path) -> tuple[TableRow, ...]:
    """Read a table of classes; other files give no rows.

    Raises:
        DataError: The file cannot be read, or names one class twice.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            return ()
    except OSError as error:
        raise DataError(describe(f"{WHAT} cannot be read", where=path, found=str(error))) from None
    if path.suffix.lower() == ".json":
        rows = _from_json(_json(path))
    else:
        rows = _from_lines(read_lines(path, what=WHAT))
    if len(rows) > _MAX_ROWS and not all(row.color for row in rows):
        return ()
    names = [row.name for row in rows]
    is_one_name = len(names) > 1 and len(set(names)) == 1
    if is_one_name and not rows[0].color:  # a list of names such as "grade 0", "grade 1"
        return ()
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(
            describe(
                "The table of classes names a class twice",
                where=path,
                found=", ".join(repeated[:5]),
                expected="one line for each class",
                fix="Rename or remove one of them.",
            )
        )
    return rows


def label_table(rows: tuple[TableRow, ...], *, in_color: bool) -> LabelTable | None:
    """Return the label table of the rows, by colour or by value; None if the masks need what is missing.

    Args:
        rows: The rows of the table.
        in_color: Whether the masks show colours. Masks of numbers use the rows' values, or else their order.
    """
    if in_color and not all(row.color for row in rows):
        in_color = False  # a table of values: three equal channels, or a palette
    classes, ignored = [], []
    for position, row in enumerate(rows):
        value = row.value if row.value is not None else position
        if in_color and row.color:
            value = pack_rgb(row.color)
        if row.name.casefold() in VOID_NAMES:
            ignored.append(value)
        else:
            classes.append(LabelClass(row.name, (value,), row.color or distinct_color(position)))
    values = [v for c in classes for v in c.values] + ignored
    if not classes or len(set(values)) < len(values):
        return None
    return LabelTable(tuple(classes), tuple(ignored), MaskEncoding("color" if in_color else "index"))


def show_colors(root: Path, masks: Iterable[PurePosixPath]) -> bool:
    """Tell whether masks show colours rather than numbers, judged by the first readable one."""
    for path in islice(masks, _MAX_MASKS_TRIED):
        try:
            header = image_header(root / path)
        except DataError:  # a damaged file is a finding of its own
            continue
        return header.channels >= 3 or header.has_palette
    return False


def _from_lines(lines: Sequence[str]) -> tuple[TableRow, ...]:
    rows = []
    for number, line in enumerate(lines):
        if not line.strip() or re.match(r"\s*(#(?![0-9a-fA-F]{6}\b)|//)", line):
            continue
        row = _row(_columns(line))
        if row is None and number:  # the first line may be headings; another such line is no table's
            return ()
        rows += [row] if row else []
    return tuple(rows)


def _columns(line: str) -> list[str]:
    for separator in ("\t", ";", ","):
        if separator in line:
            cells = next(csv.reader([line], delimiter=separator, skipinitialspace=True))
            # CVAT writes `name:r,g,b:parts:actions`.
            return [part for cell in cells for part in cell.split(":")]
    return line.split(":") if ":" in line else _words(line)


def _words(line: str) -> list[str]:
    """Split at spaces, but not inside names of several words: ``64 128 64 Traffic Cone``."""
    numbers = re.fullmatch(r"((?:\d+\s+)+)(\D.*)|(\D.*?)((?:\s+\d+)+)", line.strip())
    if not numbers:
        return line.split()
    before, name_after, name_before, after = numbers.groups()
    return [*(before or "").split(), name_after or name_before, *(after or "").split()]


def _row(columns: Sequence[str]) -> TableRow | None:
    words = [word for column in columns for word in _unspaced(column.strip()) if word]
    colors = [match for word in words if (match := _HEX.fullmatch(word))]
    numbers = [int(word) for word in words if word.isdigit()]
    names = [word for word in words if not word.isdigit() and not _HEX.fullmatch(word)]
    if not names or is_image_name(names[0]):  # a table of images
        return None
    if len(numbers) not in ((1, 3, 4) if not colors else (0, 1)):
        return None
    color: RGB | None = None
    if colors:
        packed = int(colors[0].group(1), 16)
        color = (packed >> 16, packed >> 8 & 255, packed & 255)
    elif len(numbers) >= 3:
        red, green, blue = numbers[-3:]
        color = (red, green, blue)
        numbers = numbers[:-3]
    if color and max(color) > 255:
        return None
    return TableRow(names[0].strip(), color, numbers[0] if numbers else None)


def _unspaced(cell: str) -> list[str]:
    """Split a colour in one cell, ``128 64 128`` or ``(128, 64, 128)``."""
    inner = cell.strip("()[] ")
    return inner.split() if re.fullmatch(r"\d+(\s+\d+){2}", inner) else [inner]


def _json(path: Path) -> object:
    """Return the content of a JSON file, or None if it is damaged and so no table."""
    try:
        return parse_json(path.read_bytes(), path)
    except (OSError, ValueError):
        return None


def _from_json(content: object) -> tuple[TableRow, ...]:
    """Read ``{"name": [r, g, b]}``, ``{"name": 3}``, or a list of objects with name, color, value (or id)."""
    rows: list[TableRow | None] = []
    if isinstance(content, dict):
        rows = [_json_row(name, given, given) for name, given in content.items()]
    elif isinstance(content, list) and all(isinstance(row, dict) for row in content):
        for row in content:
            value = row.get("value", row.get("id"))
            rows.append(_json_row(row.get("name"), row.get("color", row.get("colour")), value))
    found = [row for row in rows if row is not None]
    return tuple(found) if len(found) == len(rows) else ()


def rgb_in(value: object) -> RGB | None:
    """Return the three whole numbers 0..255 of a list, or None."""
    if not isinstance(value, list) or len(value) != 3:
        return None
    red, green, blue = value
    is_color = all(type(part) is int and 0 <= part < 256 for part in value)
    return (red, green, blue) if is_color else None


def _json_row(name: object, color: object, value: object) -> TableRow | None:
    if not isinstance(name, str) or not name.strip():
        return None
    if isinstance(color, str) and (match := _HEX.fullmatch(color)):
        packed = int(match.group(1), 16)
        color = [packed >> 16, packed >> 8 & 255, packed & 255]
    rgb = rgb_in(color)
    number = value if isinstance(value, int) and is_number(value) else None
    return TableRow(name.strip(), rgb, number) if rgb is not None or number is not None else None
