import numpy as np
import pytest
from scipy import ndimage

from limner.core.errors import ConfigError, UnknownNameError
from limner.core.labels import LabelClass, LabelTable
from limner.decoding.largest_component import component_classes, keep_largest


def table(*names):
    return LabelTable(tuple(LabelClass(name, (n,), (n, n, n)) for n, name in enumerate(names)))


def test_by_hand():
    labels = np.array([[1, 1, 0, 2], [0, 0, 0, 2], [2, 0, 1, 0]], np.uint8)
    # Class 1 has parts of 2 and 1 pixels; class 2 has parts of 2 and 1, and 2 is not asked for.
    assert keep_largest(labels, [1], background=0).tolist() == [[1, 1, 0, 2], [0, 0, 0, 2], [2, 0, 0, 0]]
    assert keep_largest(labels, [1, 2], background=0)[2].tolist() == [0, 0, 0, 0]
    assert labels[2, 2] == 1, "the given array stays as it is"


def test_corners_connect_and_whole_classes_stay_as_they_are():
    diagonal = np.eye(4, dtype=np.uint8)
    assert keep_largest(diagonal, [1, 2], background=0) is diagonal


def test_volumes_have_one_part_per_class_and_lose_nothing_else():
    labels = np.random.default_rng(0).integers(0, 4, (12, 14, 10)).astype(np.uint8)
    labels[labels == 3] = 0
    labels = np.where(ndimage.uniform_filter((labels > 0).astype(float), 3) > 0.5, labels, 0).astype(np.uint8)
    cleaned = keep_largest(labels, [2], background=0)
    numbers, before = ndimage.label(labels == 2, np.ones((3, 3, 3)))
    assert before > 1 and ndimage.label(cleaned == 2, np.ones((3, 3, 3)))[1] == 1
    assert (cleaned == 2).sum() == np.bincount(numbers.ravel())[1:].max()
    assert np.array_equal(labels[labels != 2], cleaned[labels != 2])


def test_names_of_classes():
    labels = table("background", "liver", "spleen")
    assert component_classes(["spleen", "liver"], labels) == (2, 1)
    assert component_classes([], table("a", "b")) == ()
    with pytest.raises(UnknownNameError, match="'livr'.*liver"):
        component_classes(["livr"], labels)
    with pytest.raises(ConfigError, match="removed parts become background"):
        component_classes(["background"], labels)
    with pytest.raises(ConfigError, match="a class named background"):
        component_classes(["a"], table("a", "b"))
