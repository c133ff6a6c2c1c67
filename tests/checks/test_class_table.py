"""What terminal and page show of the label rows."""

import pytest

from limner.checks.class_table import class_table
from limner.checks.label_rows import LabelRow, SplitCount
from limner.core.labels import IGNORE_INDEX, LabelClass, LabelTable, MaskEncoding

TWO = (LabelClass("ground", (0,), (0, 0, 0)), LabelClass("cell", (1,), (255, 0, 0)))


def row(values, name, trained_as, images=1):
    splits = {"train": SplitCount(9 * images, 0.1, images)}
    return LabelRow(values, name, trained_as, None, name == "ignored", splits)


def test_classes_what_is_ignored_and_what_nobody_named():
    rows = [row((7, 8, 12), "cell", 0), row((9,), "ignored", IGNORE_INDEX), row((3,), "", None)]
    table = class_table(rows, LabelTable(TWO))
    assert table.splits == ("train",) and table.absent == ()
    assert [(r.name, r.values, r.trained_as, r.is_named, r.is_class) for r in table.rows] == [
        ("cell", "7-8, 12", "0", True, True),
        ("ignored", "9", "ignored", True, False),
        ("not named", "3", "?", False, False),
    ]


@pytest.mark.parametrize(
    ("encoding", "values", "expected"),
    [
        (MaskEncoding("threshold", 127), (1,), "> 127"),
        (MaskEncoding("color"), (0xFF, 0xFF00, 1, 2, 3), "#0000ff, #00ff00, #000001, #000002, ..."),
    ],
)
def test_masks_that_are_no_numbers(encoding, values, expected):
    (shown,) = class_table([row(values, "cell", 1)], LabelTable(TWO, encoding=encoding)).rows
    assert shown.values == expected


def test_many_absent_classes_stand_apart_in_their_order():
    rows = [row((i,), f"class {i}", i, images=int(i == 2)) for i in range(12)]
    table = class_table(rows, LabelTable(TWO))
    assert [r.name for r in table.rows] == ["class 2"]
    assert [r.name for r in table.absent] == [f"class {i}" for i in range(12) if i != 2]
    assert class_table(rows[:10], LabelTable(TWO)).absent == ()  # ten and fewer are shown among the others


def test_nothing_known():
    assert class_table((), None).rows == ()
