"""Write tables of Parquet, row by row."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Union

from limner.core.errors import MissingPartError
from limner.storage.disk_problems import write_errors_for

ROWS_AT_ONCE = 32
"""Number of rows in memory; they become a row group of the file."""

ColumnKind = Union[str, "list[ColumnKind]", "Mapping[str, ColumnKind]"]  # noqa: UP007 - it is recursive
"""Kind of the values of a column: text, bytes, number, count or flag; a list with the kind of its values; or
name -> kind of the values of a structure."""


class TableFile:
    """A table that is being written; see `open_table`.

    Args:
        path: The file.
        columns: Name of each column -> kind of its values; all of them can be empty.

    Raises:
        MissingPartError: pyarrow is not installed.
    """

    def __init__(self, path: Path, columns: Mapping[str, ColumnKind]) -> None:
        arrow = _arrow()
        from pyarrow import parquet

        self._from_rows = arrow.Table.from_pylist
        self._schema = arrow.schema([(name, _type_of(kind, arrow)) for name, kind in columns.items()])
        self._path = path
        self._rows: list[Mapping[str, Any]] = []
        with write_errors_for(path):
            self._file = parquet.ParquetWriter(path, self._schema, compression="zstd")

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a row: name of a column -> value; columns without one are empty.

        Raises:
            WriteError: The disk is full, read-only or failing.
        """
        self._rows.append(row)
        if len(self._rows) == ROWS_AT_ONCE:
            self._write()

    def close(self) -> None:
        """Write the rows that are left, and the end of the file.

        Raises:
            WriteError: The disk is full, read-only or failing.
        """
        try:
            self._write()
        finally:
            with write_errors_for(self._path):
                self._file.close()

    def _write(self) -> None:
        if self._rows:
            with write_errors_for(self._path):
                self._file.write_table(self._from_rows(self._rows, schema=self._schema))
            self._rows = []


@contextmanager
def open_table(path: Path, columns: Mapping[str, ColumnKind]) -> Iterator[TableFile]:
    """Begin a table, and close it at the end of the block.

    Args:
        path: The file.
        columns: As in `TableFile`.

    Raises:
        MissingPartError: pyarrow is not installed.
        WriteError: The disk is full, read-only or failing.
    """
    table = TableFile(path, columns)
    try:
        yield table
    finally:
        table.close()


def require_tables() -> None:
    """Refuse to write tables before the work begins.

    Raises:
        MissingPartError: pyarrow is not installed.
    """
    _arrow()


def _arrow() -> Any:  # noqa: ANN401 - the module
    try:
        import pyarrow
    except ImportError:
        raise MissingPartError("pyarrow", "Writing Parquet", "pip install pyarrow") from None
    return pyarrow


def _type_of(kind: ColumnKind, arrow: Any) -> Any:  # noqa: ANN401 - the module, and its type
    if isinstance(kind, str):
        plain = {
            "text": arrow.string,
            "bytes": arrow.large_binary,
            "number": arrow.float64,
            "count": arrow.int64,
            "flag": arrow.bool_,
        }
        return plain[kind]()
    if isinstance(kind, list):
        return arrow.list_(_type_of(kind[0], arrow))
    return arrow.struct([(name, _type_of(one, arrow)) for name, one in kind.items()])
