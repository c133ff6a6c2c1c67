"""The teacher of a run: whether it fits the student, and what it costs."""

from collections.abc import Mapping, Sequence
from typing import Any

from limner.core.errors import ConfigError, describe
from limner.core.labels import LabelTable
from limner.core.outputs import QueryMasks
from limner.core.plan import Plan
from limner.losses import QUERY_DISTILLATIONS
from limner.networks import build_network
from limner.tasks import find_task
from limner.tasks.teacher import Teacher, classes_of, distilling


def check_teacher(teacher: Plan | None, settled: Mapping[str, Any], labels: LabelTable) -> None:
    """Check that the losses use the teacher, and that it sees the student's images and knows its classes.

    Args:
        teacher: The plan of the teacher, or None.
        settled: Every value of the student's plan, by dotted key.
        labels: The student's classes.

    Raises:
        ConfigError: They are incompatible.
    """
    terms = distilling(settled["loss.terms"])
    if teacher is None:
        if terms:
            raise ConfigError(
                f"The loss {terms[0].name!r} needs a teacher: add --teacher MODEL, or set loss.terms=auto."
            )
        return
    where = settled["loss.teacher"]
    if not terms:
        raise ConfigError(
            describe(
                "No loss uses the teacher",
                where=where,
                found=", ".join(term.name for term in settled["loss.terms"]),
                expected="a term such as distill_cwd",
                fix="Set loss.terms=auto, or add a term {name: distill_cwd, weight: 5}.",
            )
        )
    for what, theirs, ours in (
        ("is trained for another task", teacher.task, settled["task"]),
        ("takes images with another number of channels", teacher.input.channels, settled["input.channels"]),
        (
            "takes images with another number of dimensions",
            teacher.input.spatial_dims,
            settled["input.spatial_dims"],
        ),
    ):
        if theirs != ours:
            raise ConfigError(
                describe(
                    f"The teacher {what}",
                    where=where,
                    found=str(theirs),
                    expected=f"{ours}, as this run has",
                    fix="Choose a teacher for the same task and images.",
                )
            )
    _check_queries(teacher, [term.name for term in terms], where=where)
    classes_of(teacher.data.label_table, labels)


def _check_queries(teacher: Plan, terms: Sequence[str], *, where: str) -> None:
    """Check that queries are learned of a teacher that has some."""
    kind = find_task(teacher.task).output_kind(teacher.loss)
    if kind is QueryMasks or not QUERY_DISTILLATIONS.keys() & {*terms}:
        return
    raise ConfigError(
        describe(
            "The teacher has no queries",
            where=where,
            found=f"{teacher.network.name}, whose outputs are {kind.__name__}",
            expected="a network that predicts a set of segments, such as mask2former or eomt",
            fix="Choose such a teacher, or a student that predicts classes of pixels.",
        )
    )


def stand_in(teacher: Plan, labels: LabelTable) -> Teacher:
    """Return a teacher of the same cost with random weights."""
    network = build_network(
        teacher.network.name,
        num_classes=teacher.data.label_table.num_classes,
        in_channels=teacher.input.channels,
        spatial_dims=teacher.input.spatial_dims,
        pretrained="no",
        **teacher.network.options,
    )
    classes = classes_of(teacher.data.label_table, labels)
    return Teacher(network, classes, precision=teacher.train.precision)
