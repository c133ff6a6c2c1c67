"""Long lists of rows that are read again later: in memory while they are short, else in a temporary file."""

import json
from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from typing import Any

MOST_BYTES = 4 << 20
"""Size from which the rows are on the disk."""


class SpooledRows:
    """Rows of JSON-ready values, which are first appended and then read any number of times."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=MOST_BYTES)  # noqa: SIM115 - it goes with this object
        self._count = 0

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._count

    def append(self, row: object) -> None:
        """Append a row."""
        self._file.write(json.dumps(row).encode() + b"\n")
        self._count += 1

    def __iter__(self) -> Iterator[Any]:
        """Yield the rows; only one reader at a time."""
        return map(json.loads, self.lines())

    def lines(self) -> Iterator[str]:
        """Yield the rows as JSON."""
        self._file.seek(0)
        for line in self._file:
            yield line.decode().rstrip("\n")
