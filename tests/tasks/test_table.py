"""What every row of `TASKS` promises."""

import pytest

from limner.core.errors import UnknownNameError
from limner.core.labels import LabelClass, LabelTable
from limner.core.score_names import SCORES, Shown
from limner.tasks import TASKS, find_task, first_shown


@pytest.mark.parametrize("task", TASKS)
def test_what_is_shown_first_is_in_the_table(task):
    for classes in (["cell"], ["background", "cell"], ["road", "grass"], ["road", "grass", "sky"]):
        names = first_shown(task, classes)
        assert set(names) <= SCORES.keys()
        assert all(SCORES[name].shown >= Shown.COMPARED for name in names)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("names", [["Background", "cell"], ["road", "grass"], ["background", "a", "b"]])
def test_the_score_that_selects_the_weights_is_shown_before_all(task, names):
    labels = LabelTable(tuple(LabelClass(name, (i,), (0, 0, 0)) for i, name in enumerate(names)))
    assert first_shown(task, names)[0] == TASKS[task].main_score(labels)


def test_scores_of_a_task_that_is_not_known_have_no_order_of_their_own():
    assert first_shown("pose", ["a", "b"]) == ()


def test_an_unknown_task_gets_the_nearest_name():
    with pytest.raises(UnknownNameError, match="did you mean 'panoptic'"):
        find_task("panoptik")


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_task_is_found_by_its_name_and_shares_no_loss_between_its_objectives(task):
    assert find_task(task.name) is task
    names = [name for objective in task.objectives.values() for name in objective.losses]
    assert names and len(names) == len(set(names))
