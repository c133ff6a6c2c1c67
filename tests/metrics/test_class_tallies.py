import numpy as np
import pytest
from sklearn import metrics as reference

from limner.metrics.class_tallies import image_class_scores, members_of, resampled_scores


def scores_of(truth, predicted, num_classes):
    pairs = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(pairs, (truth, predicted), 1)
    return image_class_scores(np.diag(pairs), pairs.sum(1), pairs.sum(0), len(truth))


def test_scores_by_hand():
    # Truth 0 three times: predicted 0, 0, 1. Truth 1 once: predicted 1. Class 2 is nowhere.
    found = scores_of(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 3)
    np.testing.assert_allclose(found.precision, [1, 1 / 2, np.nan])
    np.testing.assert_allclose(found.recall, [2 / 3, 1, np.nan])
    np.testing.assert_allclose(found.f1, [4 / 5, 2 / 3, np.nan])
    # Of one image that is not 0, none is predicted as 0; of three that are not 1, one is.
    np.testing.assert_allclose(found.specificity, [1, 2 / 3, 1])
    overall = found.overall()
    assert overall["macro_f1_score"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert overall["weighted_f1_score"] == pytest.approx((3 * 4 / 5 + 2 / 3) / 4)
    assert found.balanced_accuracy == pytest.approx((2 / 3 + 1) / 2)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning", "ignore:y_pred contains")
def test_means_are_those_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    num_classes = int(rng.integers(2, 9))
    truth = rng.integers(num_classes, size=40)
    predicted = np.where(rng.random(40) < 0.5, truth, rng.integers(num_classes, size=40))
    if seed % 2:  # a class that is never predicted, and one that does not occur
        predicted[predicted == 0] = num_classes - 1
        truth[truth == num_classes - 1] = 0
    found = scores_of(truth, predicted, num_classes)
    overall = found.overall()
    for average in ("macro", "weighted"):
        precision, recall, f1, _ = reference.precision_recall_fscore_support(
            truth, predicted, average=average, zero_division=0
        )
        for name, value in (("precision", precision), ("recall", recall), ("f1_score", f1)):
            assert overall[f"{average}_{name}"] == pytest.approx(value, abs=1e-12)
    assert found.balanced_accuracy == pytest.approx(
        reference.balanced_accuracy_score(truth, predicted), abs=1e-12
    )
    for k in range(num_classes):
        others = reference.recall_score(truth == k, predicted == k, pos_label=False, zero_division=np.nan)
        np.testing.assert_allclose(found.specificity[k], others, atol=1e-12)


def test_a_replicate_that_draws_each_image_once_has_the_scores_themselves():
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(4, size=30), rng.integers(4, size=30)
    weights = np.stack([np.ones(30, np.int64), rng.poisson(1.0, 30)])
    hits = members_of(truth, 4).multiply((truth == predicted)[:, None]).tocsr()
    again = resampled_scores(weights, hits, members_of(truth, 4), members_of(predicted, 4))
    once = scores_of(truth, predicted, 4)
    np.testing.assert_allclose(again.f1[0], once.f1)
    drawn = np.repeat(np.arange(30), weights[1])  # the images as often as the second replicate draws them
    other = scores_of(truth[drawn], predicted[drawn], 4)
    np.testing.assert_allclose(again.specificity[1], other.specificity)
    np.testing.assert_allclose(again.balanced_accuracy[1], other.balanced_accuracy)


def test_a_specificity_that_no_image_measures_does_not_lower_the_means():
    # All images are of class 0, and one is predicted as 1: no image is of another class than 0.
    found = scores_of(np.array([0, 0, 0, 0]), np.array([0, 0, 0, 1]), 2)
    np.testing.assert_allclose(found.specificity, [np.nan, 3 / 4])
    assert found.overall()["macro_specificity"] == 3 / 4
    assert np.isnan(found.overall()["weighted_specificity"])
    all_right = scores_of(np.array([0, 0]), np.array([0, 0]), 2).overall()
    assert np.isnan(all_right["macro_specificity"]) and all_right["macro_recall"] == 1
