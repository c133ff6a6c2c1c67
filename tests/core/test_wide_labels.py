"""More than 255 classes: labels in 16 bits, whose ignored value is the last of the type, as in 8 bits."""

import numpy as np
import pytest
import torch

from limner.core.errors import ConfigError, DataError
from limner.core.image_class import ImageClass
from limner.core.label_map import LabelMap
from limner.core.labels import LabelClass, LabelTable
from limner.core.prediction import PanopticPrediction
from limner.core.segments import segments_of


def table(count, *, ignored=(), first=0):
    classes = (LabelClass(f"class {i}", (first + i,), (i % 256, i // 256, 9)) for i in range(count))
    return LabelTable(tuple(classes), ignored)


@pytest.mark.parametrize(
    ("count", "dtype", "ignored"), [(2, "uint8", 255), (255, "uint8", 255), (256, "uint16", 65535)]
)
def test_type_and_ignored_value_follow_the_number_of_classes(count, dtype, ignored):
    wide = table(count)
    assert wide.label_dtype == dtype and wide.ignore_index == ignored
    assert wide.encode(np.array([[0, count - 1]], np.int32)).dtype == dtype


def test_labels_take_16_bits_at_most():
    assert table(65535).encode(np.array([65534], np.uint16)).tolist() == [65534]
    with pytest.raises(ConfigError, match="1 to 65535 classes; found 65536"):
        table(65536)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.int64])
def test_300_classes_are_encoded_and_decoded(dtype):
    wide = table(300, ignored=(7,), first=1000)
    values = np.array([[1000, 1255, 1299], [7, 1256, 1001]], dtype)
    labels = wide.encode(values)
    assert labels.dtype == np.uint16
    assert labels.tolist() == [[0, 255, 299], [65535, 256, 1]]
    assert wide.decode(labels).tolist() == values.tolist()
    with pytest.raises(DataError, match=r"\[1300\]; named are 1000 \(class 0\).* and 45 more classes"):
        wide.encode(np.array([[1300]], dtype))


def test_values_that_are_labels_already_are_not_copied():
    values = np.array([[0, 299], [65535, 255]], np.uint16)
    assert table(300, ignored=(65535,)).encode(values) is values
    with pytest.raises(DataError, match=r"\[65535\]"):
        table(300).encode(values)


def test_8_bit_masks_of_a_large_table():
    assert table(300, first=1).encode(np.array([1, 255], np.uint8)).tolist() == [0, 254]


def test_objects_and_images_of_1203_classes():
    wide = table(1203, ignored=(5000,), first=1)
    found = segments_of([np.array([[True, False]])] * 3, [256, 1203, 5000], shape=(1, 2))
    assert wide.encode_segments(found).labels.tolist() == [255, 1202]
    assert wide.encode_class(256) == 255 and wide.encode_class(5000) == 65535
    assert ImageClass.stack([ImageClass(255), ImageClass(1202)]).tolist() == [255, 1202]


def test_a_wide_label_map_moves_counts_and_stacks():
    labels = np.full((4, 6), 3, np.uint16)
    labels[0, 0], labels[3, 5], labels[1] = 255, 299, 65535
    label_map = LabelMap(labels)
    assert label_map.largest_share((0, 0), (4, 6)) == pytest.approx(16 / 18)
    drawn = {label_map.foreground_pixel(np.random.default_rng(i), 3) for i in range(20)}
    assert drawn == {(0, 0), (3, 5)}
    stacked = LabelMap.stack([label_map, label_map])
    assert stacked.dtype == torch.int32 and torch.equal(stacked[1], torch.from_numpy(labels.astype(np.int32)))
    assert LabelMap.stack([LabelMap(labels.astype(np.uint8))]).dtype == torch.uint8


def test_panoptic_classes_of_pixels_have_the_type_of_what_is_ignored():
    found = PanopticPrediction(
        "a", np.array([[0, 1, 2]], np.int32), np.array([255, 299]), np.ones(2, np.float32), np.ones(2, bool)
    )
    assert found.semantic(nothing=65535).tolist() == [[65535, 255, 299]]
    assert found.semantic(nothing=65535).dtype == np.uint16
