"""Classes as channels, and their random changes, against SciPy's morphology and counts by hand."""

import numpy as np
from scipy import ndimage

from limner.core.low_resolution_labels import LowResolutionLabels
from limner.core.sample import Sample
from limner.transforms.add_low_resolution import AddLowResolution, AddLowResolutionParams


def sample_of(labels):
    image = np.full((*labels.shape, 1), 7, np.float32)
    return Sample("it", image, (LowResolutionLabels(labels),))


def test_each_class_becomes_a_channel_and_what_lies_outside_none():
    labels = np.array([[[0, 1, 2, 255]]], np.uint8)
    unchanged = AddLowResolutionParams((None, None), (None, None))
    added = AddLowResolution((1, 2)).apply(sample_of(labels), unchanged)
    assert added.targets == ()
    assert added.image[0, 0].tolist() == [[7, 0, 0], [7, 1, 0], [7, 0, 1], [7, 0, 0]]


def test_a_class_is_dilated_by_a_cube():
    labels = (np.random.default_rng(0).random((9, 9, 9)) > 0.98).astype(np.uint8)
    params = AddLowResolutionParams((("dilate", 1),), (None,))
    found = AddLowResolution((1,)).apply(sample_of(labels), params).image[..., 1]
    np.testing.assert_array_equal(found, ndimage.binary_dilation(labels, np.ones((3, 3, 3))))


def test_one_small_connected_part_is_removed():
    labels = np.zeros((10, 10, 10), np.uint8)
    labels[:5] = 1  # half of the patch stays
    labels[7, 7, 7] = labels[9, 9, 9] = 1
    found = AddLowResolution((1,)).apply(sample_of(labels), AddLowResolutionParams((None,), (0.9,))).image
    assert found[..., 1].sum() == 501 and found[7, 7, 7, 1] == 1 and found[9, 9, 9, 1] == 0


def test_a_drawn_change_can_be_replayed():
    labels = (np.random.default_rng(0).random((12, 12, 12)) > 0.7).astype(np.uint8)
    transform, rng = AddLowResolution((1,)), np.random.default_rng(0)
    drawn = [transform.draw(rng, sample_of(labels)) for _ in range(200)]
    assert 50 < sum(each.operations[0] is not None for each in drawn) < 110, "40 %"
    assert 20 < sum(each.removed[0] is not None for each in drawn) < 65, "20 %"
    first, again = (transform.apply(sample_of(labels), drawn[3]).image for _ in range(2))
    np.testing.assert_array_equal(first, again)
