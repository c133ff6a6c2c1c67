import pytest

from limner.core.errors import ConfigError
from limner.core.tuning import Trial
from limner.planning.search.rounds import plan_rounds, survivors


def test_each_round_has_the_same_time():
    # Nine candidates share 27 of 54 minutes, the best three the other 27.
    assert [(r.num_trials, r.minutes) for r in plan_rounds(9, 54)] == [(9, 3.0), (3, 9.0)]
    assert [r.num_trials for r in plan_rounds(20, 60)] == [20, 7, 3]
    assert [r.num_trials for r in plan_rounds(3, 60)] == [3]


@pytest.mark.parametrize("number", [2, 5, 14, 27])
def test_the_whole_time_is_what_was_given(number):
    assert sum(r.num_trials * r.minutes for r in plan_rounds(number, 100.0)) == pytest.approx(100)


def test_too_little_time_is_refused():
    with pytest.raises(ConfigError, match=r"leaves 1\.7 s for each of 9 trials; the minimum is 3 s"):
        plan_rounds(9, 0.5)
    with pytest.raises(ConfigError, match="two candidates"):
        plan_rounds(1, 10)


def test_the_best_go_on_and_failures_never_do():
    def trial(number, score=None):
        return Trial(1, number, number, 1.0, {}, score=score, problem="" if score is not None else "broke")

    done = [trial(1, 0.5), trial(2), trial(3, 0.9), trial(4, float("nan")), trial(5, 0.5)]
    assert [t.candidate for t in survivors(done, 3)] == [3, 1, 5]
    assert [t.candidate for t in survivors([trial(1), trial(2)], 2)] == []
