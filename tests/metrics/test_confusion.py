import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as reference

from limner.metrics import confusion
from limner.metrics.confusion import (
    ConfusionMatrix,
    count_pairs,
    mean_of_present,
    pixel_scores,
    scores_of_sums,
)

K = 4
label_maps = hnp.arrays(np.uint8, (2, 6, 5), elements=st.sampled_from([0, 1, 2, 3, 255]))
predictions = hnp.arrays(np.uint8, (2, 6, 5), elements=st.integers(0, K - 1))


def test_scores_by_hand():
    truth = np.array([[0, 0, 1, 1], [1, 255, 0, 1]], np.uint8)
    predicted = np.array([[0, 1, 1, 1], [0, 1, 0, 1]], np.uint8)
    matrix = ConfusionMatrix(3)
    matrix.update(truth, predicted)
    # The pixel with 255 is not counted. Truth 0 three times: predicted 0, 1, 0.
    # Truth 1 four times: predicted 1, 1, 0, 1. Class 2 nowhere.
    assert matrix.counts.tolist() == [[2, 1, 0], [1, 3, 0], [0, 0, 0]]
    scores = matrix.compute()
    # The IoU is 2 in 2 + 1 + 1 and 3 in 3 + 1 + 1 pixels; the Dice is 4 in 6 and 6 in 8.
    np.testing.assert_allclose(scores.iou, [0.5, 0.6, np.nan])
    np.testing.assert_allclose(scores.dice, [4 / 6, 0.75, np.nan])
    np.testing.assert_allclose(scores.precision, [2 / 3, 3 / 4, np.nan])
    np.testing.assert_allclose(scores.recall, [2 / 3, 3 / 4, np.nan])
    assert scores.false_positives.tolist() == [1, 1, 0]
    assert scores.false_negatives.tolist() == [1, 1, 0]
    assert scores.pixel_accuracy == pytest.approx(5 / 7)
    assert scores.mean_iou == pytest.approx(0.55)
    assert scores.num_absent == 1
    # Class 2 is not in the truth, so it has no recall: (2 / 3 + 3 / 4) / 2
    assert scores.overall(None)["mean_recall"] == pytest.approx(17 / 24)
    # 3 of 7 true pixels are class 0 and 4 of 7 class 1: (3 * 0.5 + 4 * 0.6) / 7
    assert scores.frequency_weighted_iou == pytest.approx(3.9 / 7)
    # Without class 0: 2 * 3 / (4 + 4)
    assert scores.foreground_dice(0) == pytest.approx(0.75)
    # All classes pooled: 2 * 5 / (7 + 7)
    assert scores.foreground_dice(None) is None


@given(label_maps, predictions)
def test_equals_scikit_learn(truth, predicted):
    matrix = ConfusionMatrix(K)
    matrix.update(truth, predicted)
    known = truth != 255
    t, p = truth[known], predicted[known]
    if t.size == 0:
        assert not matrix.counts.any()
        return
    labels = list(range(K))
    np.testing.assert_array_equal(matrix.counts, reference.confusion_matrix(t, p, labels=labels))
    scores = matrix.compute()
    present = ~np.isnan(scores.iou)
    np.testing.assert_array_equal(present, [(t == k).any() or (p == k).any() for k in labels])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a class that is only predicted
        expected = reference.balanced_accuracy_score(t, p)
    assert scores.overall(None)["mean_recall"] == pytest.approx(expected)
    options = {"labels": labels, "average": None, "zero_division": 0}
    np.testing.assert_allclose(scores.iou[present], reference.jaccard_score(t, p, **options)[present])
    np.testing.assert_allclose(scores.dice[present], reference.f1_score(t, p, **options)[present])
    np.testing.assert_allclose(np.nan_to_num(scores.precision), reference.precision_score(t, p, **options))
    np.testing.assert_allclose(np.nan_to_num(scores.recall), reference.recall_score(t, p, **options))
    assert scores.pixel_accuracy == pytest.approx(reference.accuracy_score(t, p))
    np.testing.assert_allclose(
        scores.frequency_weighted_iou,
        reference.jaccard_score(t, p, labels=labels, average="weighted", zero_division=0),
    )


@given(label_maps, predictions)
def test_merged_parts_equal_the_whole(truth, predicted):
    whole, one, other = (ConfusionMatrix(K) for _ in range(3))
    whole.update(truth, predicted)
    one.update(truth[0], predicted[0])
    other.update(truth[1], predicted[1])
    one.merge(other)
    np.testing.assert_array_equal(one.counts, whole.counts)


def test_update_returns_the_counts_of_that_image_alone_and_reset_forgets():
    matrix = ConfusionMatrix(2)
    matrix.update(np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8))
    alone = matrix.update(np.ones((1, 3), np.uint8), np.zeros((1, 3), np.uint8))
    assert alone.tolist() == [[0, 0], [3, 0]]
    assert matrix.counts.tolist() == [[4, 0], [3, 0]]
    matrix.reset()
    assert not matrix.counts.any()


def test_counting_in_chunks_changes_nothing(monkeypatch):
    draw = np.random.default_rng(0)
    truth, predicted = draw.integers(0, 3, (2, 11, 13)).astype(np.uint8)
    whole = count_pairs(truth, predicted, 3)
    monkeypatch.setattr(confusion, "_CHUNK", 10)
    np.testing.assert_array_equal(count_pairs(truth, predicted, 3), whole)
    assert whole.sum() == 143


def test_arrays_that_are_not_contiguous_are_counted_right():
    draw = np.random.default_rng(0)
    truth, predicted = draw.integers(0, 3, (2, 8, 6)).astype(np.uint8)
    np.testing.assert_array_equal(
        count_pairs(truth[::2, ::-1], predicted[::2, ::-1], 3),
        count_pairs(truth[::2].copy(), predicted[::2].copy(), 3),
    )


def test_a_label_out_of_range_is_our_own_bug_and_is_caught():
    zero = np.zeros((2, 2), np.uint8)
    with pytest.raises(AssertionError, match=r"true label is not in 0\.\.1"):
        count_pairs(zero + 2, zero, 2)
    with pytest.raises(AssertionError, match=r"predicted label is not in 0\.\.1"):
        count_pairs(zero, zero + 7, 2)
    with pytest.raises(AssertionError, match="prediction"):
        count_pairs(zero, zero[:1], 2)


def test_nothing_counted_has_no_scores_rather_than_zero():
    scores = pixel_scores(np.zeros((2, 2), np.int64))
    assert np.isnan(
        [scores.mean_iou, scores.mean_dice, scores.pixel_accuracy, scores.foreground_dice(0)]
    ).all()
    assert np.isnan(scores.frequency_weighted_iou)
    assert np.isnan([*scores.overall(0).values()]).all()


@pytest.mark.peer
def test_equals_torchmetrics():
    functional = pytest.importorskip("torchmetrics.functional.classification", reason="no torchmetrics")
    import torch

    draw = np.random.default_rng(0)
    truth, predicted = draw.integers(0, K, (2, 3, 20, 30)).astype(np.uint8)
    truth[draw.random(truth.shape) < 0.1] = 255
    matrix = ConfusionMatrix(K)
    for t, p in zip(truth, predicted, strict=True):
        matrix.update(t, p)
    scores = matrix.compute()
    pair = torch.from_numpy(predicted).long(), torch.from_numpy(truth).long()
    options = {"num_classes": K, "average": "none", "ignore_index": 255}
    for ours, name in (
        (scores.iou, "multiclass_jaccard_index"),
        (scores.dice, "multiclass_f1_score"),
        (scores.precision, "multiclass_precision"),
        (scores.recall, "multiclass_recall"),
    ):
        theirs = getattr(functional, name)(*pair, **options)
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-6, err_msg=name)


def test_means_of_rows_are_those_of_each_row_alone_to_the_last_bit():
    # The order of a sum depends on the number of summands, so rows with as many as possible are tried.
    rng = np.random.default_rng(0)
    for width in (1, 7, 9, 40, 150, 9000):
        rows = rng.random((30, width)) ** 3
        rows[rng.random(rows.shape) < rng.random((30, 1))] = np.nan
        rows[3] = np.nan
        expected = [row[~np.isnan(row)].mean() if (~np.isnan(row)).any() else np.nan for row in rows]
        np.testing.assert_array_equal(mean_of_present(rows), expected)
        np.testing.assert_array_equal(mean_of_present(rows.reshape(5, 6, width)).ravel(), expected)
        np.testing.assert_array_equal([mean_of_present(row) for row in rows], expected)
        np.testing.assert_array_equal(mean_of_present(np.asfortranarray(rows)), expected)


def test_scores_of_several_sums_at_once_are_those_of_each_alone():
    rng = np.random.default_rng(0)
    sums = rng.integers(0, 900, (3, 40, 30)) * (rng.random((40, 30)) < 0.4)
    sums[1:] += sums[0]
    sums[:, 5] = 0
    at_once = scores_of_sums(*sums).overall(2)
    alone = [scores_of_sums(*sums[:, i]).overall(2) for i in range(40)]
    for name, values in at_once.items():
        np.testing.assert_array_equal(values, [scores[name] for scores in alone], err_msg=name)
        assert np.isnan(values[5]) and np.isfinite(np.delete(values, 5)).all()
        assert isinstance(alone[0][name], float)
