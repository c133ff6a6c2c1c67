"""Masks with a table of classes beside them, by colour or by value."""

from pathlib import Path
from typing import ClassVar

from limner.core.dataset_file import DatasetFile
from limner.formats.file_tree import FileTree
from limner.formats.pairs.color_tables import VOID_NAMES, find_table, label_table, show_colors
from limner.formats.pairs.known_layout import Known, KnownLayout
from limner.formats.pairs.paired_folders import masks_by_name


class ColouredMasks(KnownLayout):
    """Paired folders by ``class_dict.csv``, ``label_colors.txt``, ``labelmap.txt`` or ``_classes.csv``."""

    other_folders_are_known: ClassVar[bool] = False
    name = "coloured-masks"
    title = (
        "paired folders with a table of colours or values beside them: class_dict.csv, label_colors.txt, ..."
    )

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
