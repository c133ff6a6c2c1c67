from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.core.dataset_file import DatasetFile
from limner.core.errors import ConfigError, DataError
from limner.core.sample import Record
from limner.loading.splits import assign_splits

NOTHING = DatasetFile()


def records_of(count, split=None, start=0, labelled=True):
    names = [f"{i:04}" for i in range(start, start + count)]
    return [Record(n, Path(n), (Path(n),) if labelled else (), split) for n in names]


def names_of(splits):
    return {split: [r.name for r in rows] for split, rows in splits.items()}


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(2, 80),
    seed=st.integers(0, 5),
    val=st.floats(0.01, 0.6),
    test=st.floats(0, 0.39),
    data=st.data(),
)
def test_fractions_divide_everything_once_in_any_order(count, seed, val, test, data):
    records = records_of(count)
    file = DatasetFile.model_validate({"splits": {"val": val, "test": test, "seed": seed}})
    splits = assign_splits(records, file)
    together = [r.name for rows in splits.values() for r in rows]
    assert sorted(together) == [r.name for r in records]
    assert splits["train"]
    assert splits["val"]
    assert abs(len(splits["val"]) - count * val) <= 1
    assert ("test" in splits) == (test > 0)
    shuffled = data.draw(st.permutations(records))
    assert assign_splits(shuffled, file) == splits
    assert all(list(rows) == sorted(rows, key=lambda r: r.name) for rows in splits.values())


def test_without_any_word_one_in_five_validates():
    splits = assign_splits(records_of(100), NOTHING)
    assert {k: len(v) for k, v in splits.items()} == {"train": 80, "val": 20}
    assert assign_splits(records_of(100), NOTHING, seed=1) != splits
    assert assign_splits(records_of(100), NOTHING, seed=0) == splits


def test_a_new_image_moves_few_others():
    before = set(names_of(assign_splits(records_of(200), NOTHING))["val"])
    after = set(names_of(assign_splits(records_of(201), NOTHING))["val"])
    assert len(before ^ after) <= 2


def test_the_draw_is_fair():
    # 2000 names, 400 validate; among the first thousand 200 are expected, standard deviation about 9.
    splits = assign_splits(records_of(2000), NOTHING)
    assert abs(sum(r.name < "1000" for r in splits["val"]) - 200) < 45


def test_the_layouts_splits_are_kept():
    records = records_of(3, "train") + records_of(2, "val", 3) + records_of(1, "test", 5)
    assert names_of(assign_splits(records, NOTHING)) == {
        "train": ["0000", "0001", "0002"],
        "val": ["0003", "0004"],
        "test": ["0005"],
    }


def test_validation_is_drawn_from_train_where_the_layout_has_none():
    records = records_of(10, "train") + records_of(4, "test", 10)
    splits = assign_splits(records, NOTHING)
    assert {k: len(v) for k, v in splits.items()} == {"train": 8, "val": 2, "test": 4}
    assert {r.split for r in splits["val"]} == {"train"}


def test_images_of_no_split_train_only_where_no_image_is_for_it():
    listed = records_of(4, "train") + records_of(1, "val", 4) + records_of(3, None, 5)
    assert len(assign_splits(listed, NOTHING)["train"]) == 4
    loose = records_of(4) + records_of(2, "val", 4)
    assert len(assign_splits(loose, NOTHING)["train"]) == 4


def test_fractions_stand_above_the_layout():
    records = records_of(5, "train") + records_of(5, "test", 5)
    file = DatasetFile.model_validate({"splits": {"val": 0.4}})
    assert {k: len(v) for k, v in assign_splits(records, file).items()} == {"train": 6, "val": 4}


def test_unlabelled_images_are_left_out():
    records = records_of(5) + records_of(5, start=5, labelled=False)
    splits = assign_splits(records, NOTHING)
    assert {k: len(v) for k, v in splits.items()} == {"train": 4, "val": 1}


def test_one_labelled_image_trains():
    assert names_of(assign_splits(records_of(1), NOTHING)) == {"train": ["0000"], "val": []}


def test_no_labels_at_all():
    with pytest.raises(DataError, match="No image has labels") as caught:
        assign_splits(records_of(3, labelled=False), NOTHING)
    assert "3 images, none of them labelled" in str(caught.value)


def test_an_empty_training_split():
    with pytest.raises(DataError, match="No labelled image is left to train on") as caught:
        assign_splits(records_of(3, "train", labelled=False) + records_of(2, "test", 3), NOTHING)
    assert "2 in test" in str(caught.value)


def test_lists_that_no_format_followed_are_not_ignored():
    file = DatasetFile.model_validate({"splits": {"train": "lists/train.txt"}})
    with pytest.raises(ConfigError, match="split lists in dataset.yaml contain no image") as caught:
        assign_splits(records_of(5), file)
    assert "lists/train.txt" in str(caught.value)
