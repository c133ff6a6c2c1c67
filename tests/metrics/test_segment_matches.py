import numpy as np
import pytest

from limner.metrics.segment_matches import IOUS, count_matches, empty_counts, match_scores


def counts(ious, *, num_true, num_found, num_classes=1):
    """One image of one class, whose pairs have these IoUs."""
    ious = np.array(ious)
    true, found = np.zeros(num_classes, np.int64), np.zeros((len(IOUS), num_classes), np.int64)
    true[0], found[:, 0] = num_true, num_found
    pairs = (ious[None] >= np.array(IOUS)[:, None] - 1e-9).sum(1)
    return count_matches({0: pairs}, {0: ious}, num_true=true, num_found=found)


def test_scores_by_hand():
    # Four true ones, five found, three pairs of 0.5, 0.6 and 0.92.
    found = match_scores(counts([0.5, 0.6, 0.92], num_true=4, num_found=5))
    assert found.f1[0] == pytest.approx(2 * 3 / 9)
    assert (found.precision[0], found.recall[0]) == (pytest.approx(3 / 5), pytest.approx(3 / 4))
    # From 0.65 to 0.90 one pair is left, at 0.95 none.
    assert found.f1.tolist() == pytest.approx([6 / 9, 4 / 9, 4 / 9] + [2 / 9] * 6 + [0])
    assert found.pairs.tolist() == [1, 0, 1, 0, 0, 0, 0, 0, 1, 0]
    assert (found.count_error, found.count_bias) == (1, 1)


def test_errors_of_the_count_do_not_cancel_but_their_bias_does():
    too_many, too_few = counts([], num_true=0, num_found=3), counts([], num_true=3, num_found=0)
    found = match_scores(too_many + too_few)
    assert (found.count_error, found.count_bias) == (3, 0)
    assert found.f1[0] == 0


def test_the_count_is_of_countable_classes_alone():
    both = counts([], num_true=0, num_found=2, num_classes=2)
    assert match_scores(both, np.array([False, True])).count_error == 0
    assert np.isnan(match_scores(both, np.array([False, False])).count_error)


def test_nothing_has_no_score():
    found = match_scores(empty_counts(2))
    assert np.isnan(found.f1).all() and np.isnan(found.count_error)
    assert not found.pairs.any()
