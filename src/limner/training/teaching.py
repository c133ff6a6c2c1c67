"""The losses of a run, with the teacher if it has one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from limner.core.errors import ModelError, describe
from limner.core.plan import Plan
from limner.core.run_folder import RunFolder
from limner.storage.json_files import write_json
from limner.tasks import find_task
from limner.tasks.objective import Criterion
from limner.tasks.teacher import Teacher, classes_of
from limner.training.disk_refusals import stopping_training
from limner.weights.starting import Start, read_start


def build_criterion(
    plan: Plan, run: RunFolder | None = None, *, say: Callable[[str], None] = lambda _: None
) -> Criterion:
    """Build the losses of a plan, and load the teacher that they need.

    Args:
        plan: With the losses, and the teacher's path.
        run: Folder for `teacher.json`, with which a resumed run compares; None writes nothing.
        say: Called with a message about the teacher.

    Raises:
        ModelError: The teacher cannot be read, or differs from the one that the run began with.
        ConfigError: The losses cannot be combined, or the teacher lacks a class.
    """
    criterion = find_task(plan.task).criterion(plan)
    if plan.loss.teacher is None or criterion.distillation is None:
        return criterion
    start = read_start(Path(plan.loss.teacher), task=plan.task)
    if run is not None:
        _record(start, run)
    theirs = start.model
    names = classes_of(theirs.labels, plan.data.label_table)
    criterion.distillation.teacher = Teacher(theirs, names, precision=theirs.plan.train.precision)
    unused = [name for name in theirs.labels.names if name not in plan.data.label_table.names]
    extra = f" Its classes {', '.join(unused)} are not used." if unused else ""
    licence = start.licence or "none stated"
    say(f"The teacher is {theirs.plan.network.name} from {start.path} (licence: {licence}).{extra}")
    return criterion


def read_teacher(run: RunFolder) -> dict[str, Any]:
    """Return what `build_criterion` recorded, under ``teacher``; empty for a run without one."""
    if not run.teacher.is_file():
        return {}
    try:
        return {"teacher": dict(json.loads(run.teacher.read_bytes()))}
    except (OSError, ValueError, TypeError) as error:
        return {"teacher": f"unknown, since {run.teacher.name} is damaged: {error}"}


def _record(start: Start, run: RunFolder) -> None:
    """Write the origin of the teacher, or compare it with that of a run that is resumed."""
    digest = start.sha256()
    found = {
        "weights": str(start.path),
        "licence": start.licence,
        "network": start.model.plan.network.name,
        "sha256": digest,
    }
    known = read_teacher(run).get("teacher")
    if not isinstance(known, dict):
        with stopping_training(run):
            write_json(run.teacher, found, durable=True)
    elif known.get("sha256") != digest:
        raise ModelError(
            describe(
                "The teacher has changed since the run began",
                where=start.path,
                found=f"weights with the hash {digest[:12]}...",
                expected=f"{str(known.get('sha256'))[:12]}..., as in {run.teacher.name}",
                fix="Restore the teacher's weights, or start a new run.",
            )
        )
