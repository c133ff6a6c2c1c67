import csv

import numpy as np

from limner.core.labels import LabelClass, LabelTable
from limner.core.picture import PLAIN, Geometry
from limner.tasks.size_table import size_rows, table_text

TABLE = LabelTable(
    tuple(LabelClass(name, (n,), (n, n, n)) for n, name in enumerate(("background", "liver", "=lung")))
)


def labels():
    """A liver of 8 and one of 1 voxel, which touch in no corner; no lung."""
    found = np.zeros((5, 6, 7), np.uint8)
    found[:2, :2, :2] = 1
    found[4, 5, 6] = 1
    return found


def test_by_hand():
    rows = size_rows("a", labels(), TABLE, Geometry((3.0, 0.5, 0.5)))
    # A voxel has 0.75 mm3.
    assert rows == [
        ["a", "liver", "", 9, 6.75],
        ["a", "liver", 1, 8, 6.0],
        ["a", "liver", 2, 1, 0.75],
        ["a", "'=lung", "", 0, 0.0],
    ]
    read = [*csv.reader(table_text(rows).splitlines())]
    assert read[0] == ["image", "class", "part", "voxels", "mm3"] and read[1][3:] == ["9", "6.75"]


def test_without_spacing_there_are_voxels_only():
    assert {row[4] for row in size_rows("a", labels(), TABLE, PLAIN)} == {None}
