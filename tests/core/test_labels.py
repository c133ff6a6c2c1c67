import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.core.errors import ConfigError, DataError
from limner.core.labels import (
    IGNORE_INDEX,
    LabelClass,
    LabelTable,
    MaskEncoding,
    alphabetical,
    distinct_color,
    pack_rgb,
    unpack_rgb,
    voc_color,
)


def table(*values: tuple[int, ...], ignored: tuple[int, ...] = ()) -> LabelTable:
    classes = (LabelClass(f"c{i}", v, distinct_color(i)) for i, v in enumerate(values))
    return LabelTable(tuple(classes), ignored)


def test_values_become_trained_labels_and_come_back():
    labels = table((0,), (255,), (7, 8), ignored=(99,))
    mask = np.array([[0, 255, 7], [8, 99, 0]], np.uint8)
    encoded = labels.encode(mask)
    assert encoded.tolist() == [[0, 1, 2], [2, IGNORE_INDEX, 0]]
    # 8 comes back as 7: the first value of a class is the one written.
    assert labels.decode(encoded).tolist() == [[0, 255, 7], [7, 99, 0]]
    assert labels.decode(encoded).dtype == np.uint8


@given(
    values=st.lists(st.integers(0, 2**24 - 1), min_size=1, max_size=20, unique=True),
    picks=st.lists(st.integers(0, 19), min_size=1, max_size=30),
)
def test_decoding_undoes_encoding_for_any_values(values, picks):
    labels = table(*((v,) for v in values))
    mask = np.array([values[p % len(values)] for p in picks], np.int64)
    assert (labels.decode(labels.encode(mask)) == mask).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_an_unknown_value_is_named_with_its_file(dtype):
    with pytest.raises(DataError, match=r"masks/a.png: \[3\]; named are 0 \(c0\), 1 \(c1\)"):
        table((0,), (1,)).encode(np.array([[0, 1, 3]], dtype), where="masks/a.png")


@pytest.mark.parametrize(
    ("classes", "ignored", "message"),
    [
        ((("a", (0,)), ("a", (1,))), (), "class name .* repeated: a"),
        ((("a", (0,)), ("b", (0,))), (), "mask value .* repeated: 0"),
        ((("a", (0,)),), (0,), "mask value .* repeated: 0"),
        ((), (), "1 to 65535 classes; found 0"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(classes, ignored, message):
    with pytest.raises(ConfigError, match=message):
        LabelTable(tuple(LabelClass(n, v, (0, 0, 0)) for n, v in classes), ignored)


@pytest.mark.parametrize("encoding", [MaskEncoding(), MaskEncoding("color"), MaskEncoding("threshold", 127)])
def test_a_table_survives_the_plan_file(encoding):
    labels = LabelTable(
        (LabelClass("road", (1, 2), (9, 8, 7), is_thing=False), LabelClass("car", (3,), (1, 2, 3), True)),
        (255,),
        encoding,
    )
    assert LabelTable.from_dict(labels.to_dict()) == labels


def test_background_is_found_by_name_only():
    named = LabelTable((LabelClass("Cell", (1,), (0, 0, 0)), LabelClass("Background", (0,), (0, 0, 0))))
    assert named.background_index == 1
    assert table((0,), (1,)).background_index is None


def test_colours_pack_and_the_first_of_the_voc_map_are_right():
    assert unpack_rgb(pack_rgb((128, 64, 32))) == (128, 64, 32)
    # PASCAL VOC: background black, aeroplane (128, 0, 0), bicycle (0, 128, 0), ..., chair (192, 0, 0).
    assert [voc_color(i) for i in (0, 1, 2, 9)] == [(0, 0, 0), (128, 0, 0), (0, 128, 0), (192, 0, 0)]
    assert len({distinct_color(i) for i in range(256)}) == 256


def test_a_threshold_belongs_to_a_threshold_encoding():
    with pytest.raises(ConfigError, match="threshold"):
        MaskEncoding("index", 3)
    with pytest.raises(ConfigError, match="threshold"):
        MaskEncoding("threshold")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ((None, None, None), (False, True, True)),
        ((False, None, None), (False, True, True)),  # a format that adds the background
        ((None, False, None), (False, False, True)),
        ((None, True, None), (False, True, False)),
        ((False, False, False), (False, False, False)),
    ],
)
def test_which_classes_are_countable(said, expected):
    rows = zip(("background", "a", "b"), said, strict=True)
    table = LabelTable(tuple(LabelClass(n, (i,), (0, 0, 0), s) for i, (n, s) in enumerate(rows)))
    assert tuple(table.is_thing.tolist()) == expected


def test_classes_called_by_numbers_are_in_numeric_order():
    assert alphabetical(["10", "b", "2", "A", "1", "a"]) == ("1", "2", "10", "A", "a", "b")
