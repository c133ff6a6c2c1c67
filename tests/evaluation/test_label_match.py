import numpy as np
import pytest

from limner.core.errors import DataError
from limner.core.labels import LabelClass, LabelTable, MaskEncoding
from limner.evaluation.label_match import match_labels, with_current_values


def table(ignored=(), **values):
    classes = tuple(LabelClass(name, (value,), (1, 2, 3)) for name, value in values.items())
    return LabelTable(classes, ignored)


MODEL = table(background=0, cell=255, fibre=3)


def test_foreign_values_take_the_models_order_by_name():
    matched = match_labels(MODEL, table(Cell=1, background=7, ignored=(9,)), where="data")
    masks = np.array([[7, 1, 9]], np.uint8)
    assert matched.encode(masks).tolist() == [[0, 1, 255]]
    assert matched.names == MODEL.names


def test_a_class_that_the_data_does_not_name_is_never_read():
    matched = match_labels(MODEL, table(cell=1, background=0), where="data")
    with pytest.raises(DataError, match="Values outside"):
        matched.encode(np.array([[3]], np.uint8))


def test_the_datas_own_encoding_is_kept():
    data = LabelTable(table(background=0, cell=1).classes, (), MaskEncoding("threshold", 127))
    assert match_labels(MODEL, data, where="data").encoding == MaskEncoding("threshold", 127)


def test_a_class_the_model_does_not_know_is_refused_by_name():
    with pytest.raises(DataError) as error:
        match_labels(MODEL, table(background=0, nerve=1), where="my/data")
    for word in ("my/data", "nerve", "background, cell, fibre", "dataset.yaml"):
        assert word in str(error.value)


def test_a_run_reads_data_that_numbers_its_classes_differently_by_name():
    run = table(**{"1": 1, "10": 2, "2": 3})
    now = table(**{"1": 1, "2": 2, "10": 3, "new": 4})
    changed = with_current_values(run, now)
    assert changed.names == ("1", "10", "2")
    assert changed.encode(np.array([[1, 2, 3, 4]], np.uint8)).tolist() == [[0, 2, 1, 255]]
    assert with_current_values(run, run) is run
    assert with_current_values(run, table(other=1)) is run
