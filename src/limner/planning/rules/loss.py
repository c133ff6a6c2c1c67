"""The loss."""

from collections.abc import Iterator, Mapping
from typing import Any

from limner.core.errors import ConfigError
from limner.core.plan import Decision
from limner.networks import NETWORKS
from limner.planning.decisions import Case
from limner.planning.rules.network import objective_of
from limner.planning.teacher_fit import check_teacher
from limner.tasks import find_task
from limner.tasks.objective import Objective


def choose_loss(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Choose the task's default losses for the network's output."""
    entry = NETWORKS.get(settled["network.name"])
    network_loss = {} if entry is None else entry.loss
    objective = objective_of(settled)
    for decision in objective.default_loss(case, settled, network_loss):
        yield _with_teacher(decision, objective, case) if decision.key == "loss.terms" else decision
    check_teacher(case.teacher, settled, case.labels)


def tell_partial_labels(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Say what is learned where objects may be in an image that are not drawn."""
    if not case.is_partly_labelled:
        return
    if objective_of(settled).knows_partial_labels and not find_task(settled["task"]).has_label_maps:
        remark = (
            "images are labelled for some of the classes, as in LVIS: what is not drawn of the others is not "
            "learned as background"
        )
    else:
        remark = (
            "images are labelled for some of the classes, as in LVIS, and what is not drawn is learned as "
            "background all the same, since each pixel has one class; the task `detection` and networks with "
            "queries leave it out"
        )
    yield Decision("loss.terms", settled["loss.terms"], "the defaults of the task", remark)


def _with_teacher(decision: Decision, objective: Objective, case: Case) -> Decision:
    """Add the objective's way to learn from a teacher, if there is one.

    Raises:
        ConfigError: The network cannot learn from a teacher.
    """
    if case.teacher is None:
        return decision
    if objective.distillation is None:
        raise ConfigError(
            "This network cannot learn from a teacher: its outputs have no term for it. Choose a network "
            "that predicts classes of pixels, or one class of a whole image (`limner networks`), or omit "
            "--teacher."
        )
    reason = f"{decision.reason}; {objective.distillation.name} learns the outputs of the teacher"
    assert isinstance(decision.value, tuple), "terms are decided as a tuple"
    return Decision(decision.key, (*decision.value, objective.distillation), reason)
