"""Masks with a table of classes beside them, by colour or by value."""

from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import ClassVar

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError
from limner.core.finding import Finding
from limner.core.sample import Record
from limner.formats.file_tree import FileTree, list_files
from limner.formats.pairs.color_tables import (
    VOID_NAMES,
    TableRow,
    find_table,
    label_table,
    show_colors,
    tables_of_classes,
)
from limner.formats.pairs.known_layout import Known, KnownLayout
from limner.formats.pairs.paired_folders import masks_by_name
from limner.formats.problems import Problems


class ColouredMasks(KnownLayout):
    """Paired folders by ``class_dict.csv``, ``label_colors.txt``, ``labelmap.txt`` or ``_classes.csv``."""

    other_folders_are_known: ClassVar[bool] = False
    name = "coloured-masks"
    title = (
        "paired folders with a table of colours or values beside them: class_dict.csv, label_colors.txt, ..."
    )

    def __init__(self, root: Path, settings: DatasetFile) -> None:
        self._is_named = bool(settings.classes)
        super().__init__(root, settings)

    def index(self) -> tuple[tuple[Record, ...], tuple[Finding, ...]]:
        """List one record for each image, and report a table that names a class differently."""
        records, findings = super().index()
        problems, tables = Problems(), list[tuple[PurePosixPath, tuple[TableRow, ...]]]()
        with suppress(DataError):  # the first table was read before
            tables.extend(tables_of_classes(self.root, list_files(self.root)))
        name_of = {key: row.name for _, rows in tables[:1] for row in rows for key in _keys(row)}
        for path, rows in () if self._is_named else tables[1:]:
            named = [(key, row.name) for row in rows for key in _keys(row)]
            unlike = next((row for row in named if name_of.get(*row) != row[1]), None)
            if unlike:
                found = f"{unlike[0]} is {unlike[1]!r} here, and read as {name_of[unlike[0]]!r}"
                problems.add("name-lists-differ", str(path), found)
        return records, (*findings, *problems.findings(self.terms))

    @classmethod
    def known(cls, root: Path, tree: FileTree) -> Known | None:
        """Recognise the layout by a table of at least two classes beside images with masks."""
        found = find_table(root, tree)
        masks = masks_by_name(root, tree, DatasetFile()) if found else ()
        if found is None or not masks:
            return None
        path, rows = found
        table = label_table(rows, in_color=show_colors(root, masks))
        if table is None:
            return None
        void = [row.name for row in rows if row.name.casefold() in VOID_NAMES]
        left_out = f", {', '.join(void)} ignored" if void else ""
        how = "colour" if table.encoding.kind == "color" else "value"
        return Known(f"{path} names {len(rows)} classes by {how}{left_out}", table)


def _keys(row: TableRow) -> list[object]:
    """Return the value and the colour by which masks show a class, as far as the table has them."""
    return [key for key in (row.value, row.color) if key is not None]
