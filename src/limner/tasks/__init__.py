"""The tasks, one file each, with everything specific to a task; `TASKS` lists them."""

from collections.abc import Sequence

from limner.core.errors import UnknownNameError
from limner.tasks.classification import ClassificationTask
from limner.tasks.detection import DetectionTask
from limner.tasks.instance import InstanceTask
from limner.tasks.multilabel import MultilabelTask
from limner.tasks.panoptic import PanopticTask
from limner.tasks.semantic import SemanticTask
from limner.tasks.task import Task
from limner.tasks.text_detection import TextDetectionTask

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        SemanticTask(),
        InstanceTask(),
        PanopticTask(),
        DetectionTask(),
        TextDetectionTask(),
        ClassificationTask(),
        MultilabelTask(),
    )
}


def find_task(name: str) -> Task:
    """Return a task by name.

    Raises:
        UnknownNameError: The task does not exist; the message suggests the nearest name.
    """
    if name not in TASKS:
        raise UnknownNameError("task", name, TASKS)
    return TASKS[name]


def known_losses() -> frozenset[str]:
    """Return the names of the losses of all tasks."""
    objectives = [objective for task in TASKS.values() for objective in task.objectives.values()]
    return frozenset(name for objective in objectives for name in objective.losses)


def first_shown(task: str, class_names: Sequence[str]) -> tuple[str, ...]:
    """Return the scores to show first, the main one before all; empty for an unknown task.

    Args:
        task: Its name, as in scores.json.
        class_names: Names of the trained classes.
    """
    return TASKS[task].shown_first(class_names) if task in TASKS else ()
