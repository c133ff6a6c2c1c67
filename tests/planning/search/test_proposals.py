import math

import pytest

from limner.core.tuning import Trial
from limner.planning.search.proposals import Advised, SpreadEvenly, radical_inverse
from limner.planning.search.space import Choice, Range

SPACE = {"optimizer.learning_rate": Range(1e-5, 1e-1), "schedule.name": Choice(("poly", "cosine"))}


def test_the_radical_inverse_mirrors_the_digits():
    # 6 is 110 in base 2, so 0.011 = 3/8; 5 is 12 in base 3, so 0.21 = 2/3 + 1/9.
    assert radical_inverse(6, 2) == pytest.approx(3 / 8)
    assert radical_inverse(5, 3) == pytest.approx(7 / 9)


def test_candidates_are_spread_over_the_whole_range():
    rates = [SpreadEvenly().propose(SPACE, n, [])["optimizer.learning_rate"] for n in range(1, 9)]
    # In base 2 the first eight are 1/2, 1/4, 3/4, 1/8, 5/8, 3/8, 7/8, 1/16: two in each quarter.
    decades = [math.floor(math.log10(rate) + 1e-9) for rate in rates]
    assert [decades.count(decade) for decade in (-5, -4, -3, -2)] == [2, 2, 2, 2]
    words = [SpreadEvenly().propose(SPACE, n, [])["schedule.name"] for n in range(1, 9)]
    assert 3 <= words.count("poly") <= 5


@pytest.mark.peer
def test_optuna_learns_where_the_score_is_high():
    pytest.importorskip("optuna")
    done = []
    for number in range(1, 25):
        values = Advised().propose(SPACE, number, done)
        assert all(SPACE[key].holds(value) for key, value in values.items())
        assert values == Advised().propose(SPACE, number, done)
        # The score is best at a rate of 1e-2.
        done.append(Trial(1, number, number, 1.0, values, score=-abs(_decades(values) + 2)))
    near = [abs(_decades(trial.settings) + 2) < 1 for trial in done]
    assert sum(near[12:]) > sum(near[:12])


def _decades(values):
    return math.log10(values["optimizer.learning_rate"])


@pytest.mark.peer
def test_optuna_is_told_nothing_of_failures_and_of_what_lies_outside():
    pytest.importorskip("optuna")
    odd = [
        Trial(1, 1, 1, 1.0, {"optimizer.learning_rate": 1.0, "schedule.name": "poly"}, score=0.5),
        Trial(1, 2, 2, 1.0, {"optimizer.learning_rate": 1e-3, "schedule.name": "poly"}, problem="memory"),
    ]
    assert Advised().propose(SPACE, 3, odd) == Advised().propose(SPACE, 3, [])
