"""Run lengths of a CSV: where each run lies is worked out by hand."""

import numpy as np
import pytest

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError
from limner.formats import open_source
from limner.formats.tools.run_length_csv import RunLengthCsv

TALL = np.zeros((6, 4, 3), np.uint8)
WANTED = np.zeros((6, 4), np.uint8)
WANTED[2:5, 1:3] = 1
# 6 pixels a column: column 1 starts at 7, its rows 2 to 4 at 9; 4 a row: row 2 starts at 9, column 1 at 10.
COLUMNS, ROWS = "9 3 15 3", "10 2 14 2 18 2"
HEAD = "ImageId,EncodedPixels\n"


def values(root, name: str = "a") -> np.ndarray:
    source = open_source(root)
    assert source.name == "run-length-csv"
    return source.read_values(next(record for record in source.records if record.name == name))


@pytest.mark.parametrize(
    "runs", [COLUMNS, ROWS, "0 1 " + "8 3 14 3", "8 3 3 3"], ids=["columns", "rows", "from 0", "relative"]
)
def test_order_and_first_number_are_found(make_tree, runs) -> None:
    found = values(make_tree({"a.png": TALL, "train.csv": f"{HEAD}a.png,{runs}\n"}))
    wanted = WANTED.copy()
    wanted[0, 0] = runs.startswith("0 ")
    np.testing.assert_array_equal(found, wanted)


def test_images_that_are_square_leave_the_order_open(make_tree) -> None:
    root = make_tree({"a.png": np.zeros((6, 6, 3), np.uint8), "train.csv": f"{HEAD}a,{COLUMNS}\n"})
    (asked,) = [f for f in open_source(root).findings if f.code == "run-order-unclear"]
    assert (asked.severity.value, asked.proposal) == ("error", {"run_order": "columns"})
    (root / "dataset.yaml").write_text("run_order: rows\n")
    source = open_source(root)
    assert not source.findings
    np.testing.assert_array_equal(
        np.argwhere(source.read_values(source.records[0]) == 1)[:3], [[1, 2], [1, 3], [1, 4]]
    )


@pytest.mark.parametrize(
    "table",
    [
        "ImageId,ClassId,EncodedPixels\na.png,2,9 3\na.png,1,15 3\nb.png,,\n",
        "Image_Label,EncodedPixels\na.png_2,9 3\na.png_1,15 3\nb.png_1,\n",
    ],
)
def test_classes_are_those_of_their_column_or_of_the_image_names(make_tree, table) -> None:
    root = make_tree({"a.png": TALL, "b.png": TALL, "train.csv": table})
    found = values(root)
    assert (found[2, 1], found[2, 2]) == (2, 1)
    assert open_source(root).declared_labels().names == ("background", "class 1", "class 2")
    assert not values(root, "b").any()  # an empty cell: labelled, without objects


def test_runs_beyond_the_image_are_reported_and_left_out(make_tree) -> None:
    root = make_tree({"a.png": TALL, "train.csv": f"{HEAD}a.png,{COLUMNS}\na.png,23 5 30 1\na.png,3\n"})
    source = open_source(root)
    assert [f.code for f in source.findings] == ["annotation-malformed"]
    assert [case[0] for case in source.label_problems(source.records[0]).cases()] == ["rle-wrong-length"]
    np.testing.assert_array_equal(values(root), WANTED)


def test_a_cell_of_megabytes_is_read(make_tree) -> None:
    runs = " ".join(f"{1 + 2 * n} 1" for n in range(40_000))  # every second pixel
    root = make_tree({"a.png": np.zeros((400, 200, 3), np.uint8), "train.csv": f"{HEAD}a.png,{runs}\n"})
    assert values(root).sum() == 40_000


def test_a_table_of_other_columns_is_named(make_tree) -> None:
    root = make_tree({"a.png": TALL, "train.csv": "a,b\n1,2\n"})
    with pytest.raises(DataError, match=r"train\.csv"):
        RunLengthCsv(root, DatasetFile())


def test_what_is_to_be_handed_in_is_no_label(make_tree) -> None:
    root = make_tree({"train/a.png": TALL, "test/b.png": TALL, "train.csv": f"{HEAD}a.png,{COLUMNS}\n"})
    (root / "sample_submission.csv").write_text(f"{HEAD}b.png,1 1\n")
    assert [record.name for record in open_source(root).records] == ["train/a"]


def test_tables_of_two_splits(make_tree) -> None:
    tables = {f"{split}.csv": f"{HEAD}{split}.png,{COLUMNS}\n" for split in ("train", "test")}
    source = open_source(make_tree(tables | {"train.png": TALL, "test.png": TALL}))
    assert {record.name: record.split for record in source.records} == {"train": "train", "test": "test"}
    assert not source.findings


def test_one_row_of_overlapping_runs_does_not_make_all_runs_relative(make_tree) -> None:
    rows = f"a.png,{COLUMNS}\nb.png,{COLUMNS}\nb.png,1 4 3 2\n"
    root = make_tree({"a.png": TALL, "b.png": TALL, "train.csv": HEAD + rows})
    np.testing.assert_array_equal(values(root), WANTED)
    united = WANTED.copy()
    united[:4, 0] = 1  # pixels 1 to 4, of which 3 and 4 are there twice
    np.testing.assert_array_equal(values(root, "b"), united)


def test_relative_runs_go_down_the_columns_by_where_they_lie(make_tree) -> None:
    square = np.zeros((6, 6, 3), np.uint8)
    table = f"{HEAD}a.png,8 3 3 3 3 3\n"  # from 8, 14 and 20 on: the rows 2 to 4 of three columns
    root = make_tree({"a.png": square[:, :5], "train.csv": table})
    found = values(root)
    assert np.argwhere(found).tolist() == [[row, column] for row in (2, 3, 4) for column in (1, 2, 3)]


def test_the_stated_size_is_compared_with_the_image(make_tree) -> None:
    heading = "ImageId,EncodedPixels,Height,Width,class_name,ClassId\n"
    table = f'{heading}a.png,"{COLUMNS}",6,4,"shirt, sleeve",3\n'
    root = make_tree({"a.png": np.zeros((12, 8, 3), np.uint8), "train.csv": table})
    source = open_source(root)
    assert source.declared_labels().names == ("background", "shirt, sleeve")
    assert source.read_values(source.records[0]).shape == (6, 4)
    (root / "dataset.yaml").write_text("images_resized: true\n")
    twice = WANTED.repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_array_equal(values(root), twice)


def test_sizes_that_differ_within_an_image_are_of_its_objects(make_tree) -> None:
    table = f"ImageId,EncodedPixels,Height,Width\na.png,{COLUMNS},3,2\na.png,1 2,2,1\n"
    assert values(make_tree({"a.png": TALL, "train.csv": table})).shape == (6, 4)
