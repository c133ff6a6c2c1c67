import numpy as np
import pytest

from limner.metrics.calibration import calibration


def test_error_by_hand():
    # Two in the bin up to 10 / 15, one of them right; one in the last bin, right.
    found = calibration(np.array([0.61, 0.65, 0.99]), np.array([True, False, True]))
    np.testing.assert_allclose(found.confidence, [0.63, 0.99])
    np.testing.assert_allclose(found.accuracy, [0.5, 1.0])
    assert found.count.tolist() == [2, 1]
    assert found.error == pytest.approx((2 * 0.13 + 1 * 0.01) / 3)


def test_the_upper_end_belongs_to_a_bin():
    found = calibration(np.array([1 / 15, 0.0, 1.0]), np.array([True, True, True]))
    assert found.count.tolist() == [2, 1]  # zero is in the first bin, one in the last


def test_nothing_has_no_error():
    assert np.isnan(calibration(np.zeros(0), np.zeros(0, bool)).error)
