import numpy as np
import pytest
from sklearn import metrics as reference

from limner.metrics.thresholds import ThresholdCurves


def drawn(seed=0, size=(40, 50)):
    draw = np.random.default_rng(seed)
    truth = (draw.random(size) < 0.3).astype(np.uint8)
    sure = np.clip(draw.normal(0.35 + 0.3 * truth, 0.2), 0, 1)
    # Steps of a thousandth, in which limner counts, plus half of one against rounding.
    return np.clip((np.floor(sure * 1000) + 0.5) / 1000, 0, 1).astype(np.float32), truth


def test_equals_scikit_learn():
    sure, truth = drawn()
    truth[0] = 255
    curves = ThresholdCurves()
    curves.update(sure, truth, index=1)
    found = curves.compute()
    s, t = sure[1:].ravel(), truth[1:].ravel()
    assert found.average_precision == pytest.approx(reference.average_precision_score(t, s))
    assert found.area_under_roc == pytest.approx(reference.roc_auc_score(t, s))
    for i in (0, 200, 500, 731):
        predicted = s >= i / 1000
        assert found.recall[i] == pytest.approx(reference.recall_score(t, predicted))
        assert found.precision[i] == pytest.approx(reference.precision_score(t, predicted))
        assert found.dice[i] == pytest.approx(reference.f1_score(t, predicted))
        assert found.false_positive_rate[i] == pytest.approx(predicted[t == 0].mean())
    threshold, dice = found.best
    precision, recall, _ = reference.precision_recall_curve(t, s)
    best = (2 * precision * recall / np.maximum(precision + recall, 1e-9)).max()
    assert dice == pytest.approx(best)
    assert reference.f1_score(t, s >= threshold) == pytest.approx(dice)


def test_calibration_by_hand():
    curves = ThresholdCurves()
    # Four pixels at 0.9, three of them the class; two at 0.1, none of them.
    sure = np.array([[0.9, 0.9, 0.9, 0.9, 0.1, 0.1]], np.float32)
    curves.update(sure, np.array([[1, 1, 1, 0, 0, 0]], np.uint8), index=1)
    found = curves.compute()
    np.testing.assert_allclose(found.reliability, [[0.1, 0, 2], [0.9, 0.75, 4]], atol=1e-6)
    # (2 * |0.1 - 0| + 4 * |0.9 - 0.75|) / 6
    assert found.calibration_error == pytest.approx((0.2 + 0.6) / 6)


def test_merged_workers_equal_one_and_the_other_class_mirrors_it():
    whole, one, two, other = (ThresholdCurves() for _ in range(4))
    for number, curves in ((0, one), (1, two)):
        sure, truth = drawn(number)
        whole.update(sure, truth, index=1)
        curves.update(sure, truth, index=1)
        other.update(1 - sure, truth, index=0)
    one.merge(two)
    assert one.compute().average_precision == whole.compute().average_precision
    np.testing.assert_array_equal(one.compute().dice, whole.compute().dice)
    assert other.compute().area_under_roc == pytest.approx(whole.compute().area_under_roc, abs=1e-3)


def test_without_the_class_there_is_no_curve():
    curves = ThresholdCurves()
    curves.update(np.full((2, 2), 0.5, np.float32), np.zeros((2, 2), np.uint8), index=1)
    found = curves.compute()
    assert np.isnan(found.area_under_roc) and np.isnan(found.recall).all()
