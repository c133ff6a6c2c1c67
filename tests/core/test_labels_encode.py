import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.core.errors import DataError
from limner.core.labels import LabelClass, LabelTable


def table_of(*values, ignored=()):
    """A table whose class i means the values of row i."""
    classes = tuple(LabelClass(f"class {i}", tuple(v), (0, 0, i % 256)) for i, v in enumerate(values))
    return LabelTable(classes, ignored)


TABLES = {
    "as they are": table_of([0], [1], [2], ignored=(255,)),
    "as they are, none ignored": table_of([0], [1], [2]),
    "gaps": table_of([0], [7, 9], [128], ignored=(255, 3)),
    "9 bits": table_of([0], [300]),
    "16 bits": table_of([0], [1000], [65535]),
    "colours": table_of([0], [0xFF0000], [0x00FF00, 0x0000FF], ignored=(0xFFFFFF,)),
    "beyond any table": table_of([0], [1 << 40], ignored=(-1,)),
    "255 classes": table_of(*[[i] for i in range(255)], ignored=(255,)),
}


TYPES = (np.uint8, np.uint16, np.int32, np.int64)


@pytest.mark.parametrize("name", TABLES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_pixel_is_translated_by_the_table(name, data):
    table = TABLES[name]
    known = list(table.trained_as)
    pixels = data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=40))
    fitting = [t for t in TYPES if all(np.iinfo(t).min <= p <= np.iinfo(t).max for p in pixels)]
    values = np.array(pixels, data.draw(st.sampled_from(fitting))).reshape(1, -1)
    labels = table.encode(values)
    assert labels.dtype == np.uint8
    assert labels.tolist() == [[table.trained_as[p] for p in pixels]]


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64])
def test_every_value_that_nobody_named_is_refused(name, dtype):
    table = TABLES[name]
    beyond = max(table.trained_as) + 1
    for value in {*range(256), beyond, beyond + 1, 70000, -5, 1 << 41} - set(table.trained_as):
        limits = np.iinfo(dtype)
        if limits.min <= value <= limits.max:
            with pytest.raises(DataError, match=rf"outside the named labels in m.png: \[{value}\]"):
                table.encode(np.array([[0, value]], dtype), where="m.png")


def test_strided_and_empty_masks():
    table = TABLES["gaps"]
    values = np.array([[0, 7, 9], [128, 255, 3]], np.uint8)
    assert table.encode(values[:, ::-1]).tolist() == [[1, 1, 0], [255, 255, 2]]
    assert table.encode(values.T).tolist() == [[0, 2], [1, 255], [1, 255]]
    assert table.encode(values[:0]).shape == (0, 3)
