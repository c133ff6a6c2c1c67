"""JSON files: atomic writing, sniffing without parsing, and parsing with errors that name the file."""

import json
from pathlib import Path

from limner.core.errors import DataError, describe
from limner.storage.whole_files import write_whole

SNIFFED_BYTES = 65536
"""Number of bytes read from each end of a JSON file; the keys there identify its content."""


def ends(path: Path) -> bytes:
    """Return both ends of a file, or nothing if it cannot be read."""
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
        what: Its content, for messages, such as ``The COCO annotations``.
        expected: What the file should contain, for messages.

    Raises:
        DataError: It cannot be read, or is not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except (OSError, UnicodeDecodeError, RecursionError, json.JSONDecodeError) as error:
        raise unreadable(path, what=what, found=str(error), expected=expected) from None


def unreadable(path: Path, *, what: str, found: str, expected: str) -> DataError:
    """Return the error for a file that cannot be read."""
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
    """Write JSON-ready values as indented UTF-8 text, with `write_whole`.

    Raises:
        WriteError: The disk is full, read-only or failing; `path` is unchanged.
    """
    write_whole(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n", durable=durable)
