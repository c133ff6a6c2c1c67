"""One file a task, which says everything that is particular to it; `TASKS` is the table of contents."""

from limner.core.errors import UnknownNameError
from limner.tasks.instance import InstanceTask
from limner.tasks.panoptic import PanopticTask
from limner.tasks.semantic import SemanticTask
from limner.tasks.task import Task

TASKS: dict[str, Task] = {task.name: task for task in (SemanticTask(), InstanceTask(), PanopticTask())}


def find_task(name: str) -> Task:
    """Return the task of a name.

    Raises:
        UnknownNameError: There is no such task; the message names the nearest.
    """
    if name not in TASKS:
        raise UnknownNameError("task", name, TASKS)
    return TASKS[name]


def known_losses() -> frozenset[str]:
    """Return the names of all losses that any task is trained with."""
    objectives = [objective for task in TASKS.values() for objective in task.objectives.values()]
    return frozenset(name for objective in objectives for name in objective.losses)


def first_shown(task: str, num_classes: int) -> tuple[str, ...]:
    """Return the scores to show first of what scores.json says was predicted; none of an unknown task."""
    return TASKS[task].shown_first(num_classes) if task in TASKS else ()
