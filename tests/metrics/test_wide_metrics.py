"""Counting labels of more than 255 classes: the same counts as of few, in a larger matrix."""

import numpy as np
import pytest

from limner.metrics.boundary import count_boundaries
from limner.metrics.confusion import count_pairs
from limner.metrics.thresholds import ThresholdCurves


@pytest.fixture
def maps():
    rng = np.random.default_rng(0)
    truth = np.kron(rng.integers(0, 6, (8, 9)), np.ones((5, 5), int)).astype(np.uint8)
    predicted = np.where(rng.random(truth.shape) < 0.2, rng.integers(0, 6, truth.shape), truth).astype(
        np.uint8
    )
    truth[:4] = 255
    wide = truth.astype(np.uint16)
    wide[wide == 255] = 65535
    return truth, predicted, wide, predicted.astype(np.uint16)


def test_padding_the_classes_pads_the_counts(maps):
    truth, predicted, wide, wide_predicted = maps
    few, many = count_pairs(truth, predicted, 6), count_pairs(wide, wide_predicted, 300)
    assert many.shape == (300, 300) and np.array_equal(many[:6, :6], few)
    assert many.sum() == few.sum() == (truth != 255).sum()


def test_outlines_are_the_same(maps):
    truth, predicted, wide, wide_predicted = maps
    few, many = count_boundaries(truth, predicted, 6), count_boundaries(wide, wide_predicted, 300)
    assert np.array_equal(many[:, :6], few) and not many[:, 6:].any()


def test_outlines_of_the_last_classes():
    truth = np.full((9, 9), 255, np.uint16)
    truth[3:6, 3:6] = 299
    counts = count_boundaries(truth, truth, 300)
    assert counts[3, 299] == counts[4, 299] == 8  # all of its nine pixels but the middle
    assert counts[3, 255] == counts[4, 255] == 16


def test_pairs_by_hand():
    truth = np.array([[255, 299, 65535, 256]], np.uint16)
    counts = count_pairs(truth, np.array([[255, 0, 4, 256]], np.uint16), 300)
    assert {(int(a), int(b)) for a, b in np.argwhere(counts)} == {(255, 255), (299, 0), (256, 256)}


def test_labels_beyond_the_classes_are_refused():
    with pytest.raises(AssertionError, match="true label"):
        count_pairs(np.array([[300]], np.uint16), np.array([[0]], np.uint16), 300)
    with pytest.raises(AssertionError, match="predicted label"):
        count_pairs(np.array([[0]], np.uint16), np.array([[65535]], np.uint16), 300)


def test_thresholds_leave_ignored_pixels_out(maps):
    truth, _, wide, _ = maps
    probability = np.random.default_rng(1).random(truth.shape).astype(np.float32)
    few, many = ThresholdCurves(), ThresholdCurves()
    few.update(probability, truth, index=1)
    many.update(probability, wide, index=1)
    assert few.compute().average_precision == many.compute().average_precision
