import numpy as np
import pytest
from sklearn import metrics as reference

from limner.metrics.ranking import ranking_curve


def test_curve_by_hand():
    # Descending: 0.9 right, 0.8 wrong, 0.4 right and 0.4 wrong together, 0.1 wrong.
    curve = ranking_curve(np.array([0.4, 0.9, 0.1, 0.8, 0.4]), np.array([1, 1, 0, 0, 0], bool))
    assert curve.thresholds.tolist() == [0.9, 0.8, 0.4, 0.1]
    assert curve.right.tolist() == [1, 1, 2, 2]
    assert curve.wrong.tolist() == [0, 1, 2, 3]
    # Half of the recall at precision 1, the other half at 2 of 4.
    assert curve.average_precision == pytest.approx(0.5 * 1 + 0.5 * 0.5)
    # Of six pairs of an image of the class and another one, four are in order and one is tied.
    assert curve.area_under_roc == pytest.approx((4 + 0.5) / 6)


@pytest.mark.parametrize("digits", [1, 6])  # with few digits, many probabilities are tied
@pytest.mark.parametrize("seed", range(4))
def test_areas_are_those_of_scikit_learn(seed, digits):
    rng = np.random.default_rng(seed)
    is_class = rng.random(200) < 0.3
    chances = np.round(np.clip(0.3 * is_class + rng.random(200) * 0.7, 0, 1), digits)
    curve = ranking_curve(chances, is_class)
    assert curve.average_precision == pytest.approx(
        reference.average_precision_score(is_class, chances), abs=1e-12
    )
    assert curve.area_under_roc == pytest.approx(reference.roc_auc_score(is_class, chances), abs=1e-12)


def test_without_images_of_the_class_or_of_others_there_is_no_area():
    chances = np.array([0.2, 0.7])
    assert np.isnan(ranking_curve(chances, np.zeros(2, bool)).area_under_roc)
    assert np.isnan(ranking_curve(chances, np.zeros(2, bool)).average_precision)
    assert np.isnan(ranking_curve(chances, np.ones(2, bool)).area_under_roc)
    assert ranking_curve(chances, np.ones(2, bool)).average_precision == 1
