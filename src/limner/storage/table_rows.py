"""Images in tables of Parquet: a column of bytes, or of paths and addresses."""

from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import Any

from limner.core.errors import DataError, MissingPartError, describe
from limner.storage.containers import TABLE
from limner.storage.file_states import State, file_state

NAMES = ("image", "img", "jpg", "png", "bytes", "path", "file_name", "filename", "file", "image_path", "url")
"""Names of columns of images, the most usual first."""


class ImageTable:
    """One column of a table.

    Args:
        path: The file.

    Attributes:
        num_rows: Number of rows.

    Raises:
        DataError: It cannot be read, or has no column of images, or several.
        MissingPartError: pyarrow is not installed.
    """

    def __init__(self, path: Path) -> None:
        parquet = _parquet(path)
        self._path = path
        try:
            self._file = parquet.ParquetFile(path)
        except (OSError, ValueError) as error:  # pyarrow's own errors are of these kinds
            raise _unreadable_table(path, str(error)) from None
        schema = self._file.schema_arrow
        kinds = {name: _kind_of(schema.field(name).type) for name in schema.names}
        self._column = _chosen({name: kind for name, kind in kinds.items() if kind}, path, schema.names)
        self.holds_paths = kinds[self._column] == "paths"
        metadata = self._file.metadata
        sizes = (metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))
        self._ends = list(accumulate(sizes))
        self.num_rows: int = metadata.num_rows
        self._group: tuple[int, Any] = (-1, None)
        self._lock = Lock()  # images are read ahead in threads

    def value(self, row: int) -> Any:  # noqa: ANN401 - bytes or text, as `holds_paths` says; None if empty
        """Return the image of a row, from 0: its bytes, or its path or address.

        Raises:
            DataError: The table cannot be read.
        """
        group = bisect_right(self._ends, row)
        with self._lock:
            if self._group[0] != group:
                try:
                    column = self._file.read_row_group(group, columns=[self._column]).column(0)
                except (OSError, ValueError) as error:
                    raise _unreadable_table(self._path, f"row {row}: {error}") from None
                self._group = group, column
            found = self._group[1][row - (self._ends[group - 1] if group else 0)].as_py()
        return found.get("bytes") if isinstance(found, dict) else found

    def members(self) -> Iterator[str]:
        """Yield the images: paths beside the table, addresses, or the names of rows in the table."""
        width = len(str(max(self.num_rows - 1, 0)))
        for row in range(self.num_rows):
            if self.holds_paths:
                value = str(self.value(row))
                yield value if "://" in value else str(self._path.parent / value)
            else:
                yield f"{self._path}/{row:0{width}d}"


def image_table(path: Path) -> ImageTable:
    """Return a table, which is opened once.

    Raises:
        DataError: As in `ImageTable`.
        MissingPartError: As in `ImageTable`.
    """
    state = file_state(path)
    if state is None:
        raise _unreadable_table(path, "no such file, or no permission to read it")
    return _table_in_state(path, state)


def row_bytes(path: Path, row: str) -> bytes:
    """Return the image in a row, by its number from 0.

    Raises:
        DataError: There is no such row, or it is empty.
        MissingPartError: As in `ImageTable`.
    """
    table = image_table(path)
    if not row.isdecimal() or int(row) >= table.num_rows:
        raise _unreadable_table(path, f"no row {row} among {table.num_rows}")
    found = table.value(int(row))
    if not isinstance(found, bytes):
        raise _unreadable_table(path, f"row {int(row)} has no image")
    return found


@lru_cache(maxsize=8)
def _table_in_state(path: Path, state: State) -> ImageTable:
    return ImageTable(path)


def _parquet(path: Path) -> Any:  # noqa: ANN401 - the module
    try:
        from pyarrow import parquet
    except ImportError:
        raise MissingPartError("pyarrow", f"Reading {path.name}", "pip install pyarrow") from None
    return parquet


def _kind_of(kind: Any) -> str:  # noqa: ANN401 - pyarrow's type
    """Return ``bytes``, ``paths``, or an empty text for a column of something else."""
    import pyarrow

    if pyarrow.types.is_struct(kind):  # as Hugging Face's datasets store images
        return "bytes" if kind.get_field_index("bytes") >= 0 else ""
    if pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind):
        return "bytes"
    return "paths" if pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind) else ""


def _chosen(kinds: dict[str, str], path: Path, columns: list[str]) -> str:
    """Return the column of the images: one of a usual name, or the only one of bytes."""
    named = [name for usual in NAMES for name in kinds if name.casefold() == usual]
    of_bytes = [name for name, kind in kinds.items() if kind == "bytes"]
    if named:
        return named[0]
    if len(of_bytes) == 1:
        return of_bytes[0]
    raise DataError(
        describe(
            "The table has no column of images",
            where=path,
            found=f"columns {', '.join(columns)}",
            expected=f"a column of bytes or of paths named {', '.join(NAMES)}",
            fix="Rename the column.",
        )
    )


def _unreadable_table(path: Path, problem: str) -> DataError:
    return DataError(
        describe(
            "The table cannot be read",
            where=path,
            found=problem,
            expected=f"a {TABLE} file with a column of images",
            fix="Check the file, and copy or write it again.",
        )
    )
