"""The two runs of a cascade: at low resolution, then at full resolution with what the first predicts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limner.core.config import merge
from limner.core.errors import ConfigError
from limner.core.execution import Execution
from limner.core.plan import Plan
from limner.devices.processes import num_processes
from limner.preparation.planned import Planned, plan_checked, settings_and_data
from limner.preparation.prepared_run import PreparedRun, prepare_run
from limner.tasks import find_task

FIRST_SHARE = 1 / 3
"""Fraction of a time budget for the low-resolution stage: it has fewer voxels, and the second one refines."""


def prepare_cascade(
    planned: Planned,
    data: str | Path,
    wanted: Mapping[str, Any],
    run: str | Path | None,
    execution: Execution,
) -> PreparedRun:
    """Create the run of the second stage, and in its folder the run of the first.

    Args:
        planned: The plan of the second stage, with the whole time budget.
        data: The dataset folder, or the file of settings that names it.
        wanted: The user's settings, nested.
        run: As of `prepare_run`.
        execution: Device of the training.

    Raises:
        ConfigError: The task or a setting does not suit a cascade.
        DataError: As of `prepare_run`.
    """
    refuse_unsuitable(planned.plan)
    settings, _ = settings_and_data(data, dict(wanted))
    minutes, coarse = planned.plan.train.minutes, planned.plan.input.cascade_mm
    first, second = settings, settings
    if minutes is not None:
        early = round(minutes * FIRST_SHARE, 3)
        first = merge(settings, {"train": {"minutes": early}})
        second = merge(settings, {"train": {"minutes": round(minutes - early, 3)}})
    first = merge(first, {"input": {"spacing_mm": coarse, "cascade_mm": None}})
    checked = planned.checked
    low = Planned(plan_checked(checked, first, execution.device), checked)
    full = Planned(plan_checked(checked, second, execution.device), checked)
    prepared = prepare_run(full, run, device=execution.device)
    prepare_run(low, prepared.folder.low_resolution.root.absolute(), device=execution.device)
    return prepared


def refuse_unsuitable(plan: Plan) -> None:
    """Reject a cascade where its second stage could not be trained.

    Raises:
        ConfigError: The message names the setting.
    """
    others = {
        "network.weights": plan.network.weights,
        "loss.teacher": plan.loss.teacher,
        "train.unlabelled": plan.train.unlabelled,
    }
    found = [key for key, value in others.items() if value is not None]
    if found:
        raise ConfigError(
            f"input.cascade_mm cannot be combined with {found[0]}: the second stage has further channels. "
            "Omit one of them."
        )
    if not find_task(plan.task).has_label_maps:
        raise ConfigError(f"input.cascade_mm is for label maps; the task is {plan.task!r}. Omit it.")
    if num_processes() > 1:
        raise ConfigError("A cascade needs a single process. Train on one device, or omit input.cascade_mm.")
