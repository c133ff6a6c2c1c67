"""JSON files: written whole, looked at without being parsed, and parsed with an error that names the file."""

import json
from pathlib import Path

from limner.core.errors import DataError, describe
from limner.storage.whole_files import write_whole

SNIFFED_BYTES = 65536
"""Looked at from either end of a JSON file: the keys at the ends name the rest."""


def ends(path: Path) -> bytes:
    """Return both ends of a file; nothing where it cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(SNIFFED_BYTES)
            file.seek(max(len(head), path.stat().st_size - SNIFFED_BYTES))
            return head + b"\n" + file.read(SNIFFED_BYTES)
    except OSError:
        return b""


def parse(path: Path, *, what: str, expected: str) -> object:
    """Return the content of a JSON file.

    Args:
        path: The file.
        what: What it holds, such as ``The COCO annotations``.
        expected: What should be there.

    Raises:
        DataError: It cannot be read, or is no JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except (OSError, UnicodeDecodeError, RecursionError, json.JSONDecodeError) as error:
        raise unreadable(path, what=what, found=str(error), expected=expected) from None


def unreadable(path: Path, *, what: str, found: str, expected: str) -> DataError:
    """Return the error of a file that does not hold what it should."""
    return DataError(
        describe(
            f"{what} cannot be read",
            where=path,
            found=found,
            expected=expected,
            fix="Export or download it again.",
        )
    )


def write_json(path: Path, values: object, *, durable: bool = False) -> None:
    """Write JSON-ready values as UTF-8 text that people can read, by `write_whole`.

    Raises:
        WriteError: The disk is full, read-only, or fails; `path` is as it was.
    """
    write_whole(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n", durable=durable)
