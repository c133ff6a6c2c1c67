import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.metrics.spread import SpreadOfScores

scores = st.lists(st.floats(0, 1), min_size=1, max_size=40)


@given(scores)
def test_equals_numpy_to_a_ten_thousandth(values):
    made = SpreadOfScores(2)
    for value in values:
        made.update(np.array([value, np.nan]))
    found = made.compute(0)
    rounded = np.rint(np.array(values) * 10_000) / 10_000
    assert found.num_images == len(values)
    assert found.mean == pytest.approx(np.mean(values))
    assert found.median == pytest.approx(np.median(rounded))
    assert found.percentile_5 == pytest.approx(np.percentile(rounded, 5))
    assert made.compute(1).num_images == 0 and np.isnan(made.compute(1).mean)


@given(scores, scores)
def test_merged_workers_equal_one(some, others):
    whole, one, two = (SpreadOfScores(1) for _ in range(3))
    for value in some:
        whole.update(np.array([value])), one.update(np.array([value]))
    for value in others:
        whole.update(np.array([value])), two.update(np.array([value]))
    one.merge(two)
    merged, alone = one.compute(0), whole.compute(0)
    assert merged.median == alone.median and merged.mean == pytest.approx(alone.mean)


def test_intervals_are_those_of_the_textbook_bootstrap():
    draw = np.random.default_rng(0)
    values = draw.beta(8, 2, 60)
    made = SpreadOfScores(1)
    for value in values:
        made.update(np.array([value]))
    found = made.compute(0, replicates=2000).intervals
    again = draw.choice(values, (4000, 60))
    for name, statistic in (("mean", np.mean), ("median", np.median)):
        expected = np.percentile(statistic(again, axis=1), (2.5, 97.5))
        np.testing.assert_allclose(found[name], expected, atol=0.006)
    assert made.compute(0, replicates=50) == made.compute(0, replicates=50)


def test_the_interval_of_a_score_does_not_depend_on_the_scores_beside_it():
    alone, third = SpreadOfScores(1), SpreadOfScores(3)
    for value in np.random.default_rng(0).random(30):
        alone.update(np.array([value]))
        third.update(np.array([0.5, 0.1, value]))
    assert third.compute(2, name="a", replicates=50) == alone.compute(0, name="a", replicates=50)
    assert (
        alone.compute(0, name="b", replicates=50).intervals
        != alone.compute(0, name="a", replicates=50).intervals
    )
