"""The two runs of a cascade: at low resolution, then at full resolution with what the first predicts."""

from pathlib import Path
from typing import Any

from limner.core.config import merge
from limner.core.errors import ConfigError
from limner.core.execution import Execution
from limner.core.plan import Plan
from limner.devices.processes import num_processes
from limner.planning.rules.cascade import FIRST_SHARE, KEY
from limner.preparation.planned import Planned, plan_checked
from limner.preparation.prepared_run import PreparedRun, prepare_run
from limner.tasks import find_task


def prepare_cascade(planned: Planned, run: str | Path | None, execution: Execution) -> PreparedRun:
    """Create the run of the second stage, and in its folder the run of the first.

    Args:
        planned: The plan of the second stage, with the whole time budget.
        run: As of `prepare_run`.
        execution: Device of the training.

    Raises:
        ConfigError: The task or a setting does not suit a cascade.
        DataError: As of `prepare_run`.
    """
    refuse_unsuitable(planned.plan)
    checked, device = planned.checked, execution.device
    stages = settings_of_stages(planned.settings, planned.plan)
    low, full = (Planned(plan_checked(checked, each, device), checked, each) for each in stages)
    return prepare_run(full, run, device=device, first_stage=low)


def settings_of_stages(settings: dict[str, Any], plan: Plan) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings of the first and of the second stage, with the reasons of what was decided.

    Args:
        settings: The user's settings, nested, perhaps with ``reasons``.
        plan: The plan of the second stage, with the whole time budget.
    """
    coarse, minutes = plan.input.cascade_mm, plan.train.minutes
    why = "this is the first stage of a cascade"
    first: dict[str, Any] = {
        "input": {"spacing_mm": coarse, "cascade_mm": None},
        "reasons": {"input.spacing_mm": why, KEY: why},
    }
    second: dict[str, Any] = {"input": {"cascade_mm": coarse}, "reasons": {KEY: plan.reasons[KEY]}}
    if minutes is not None:
        early = round(minutes * FIRST_SHARE, 3)
        shares = {"first": early, "second": round(minutes - early, 3)}
        for stage, (name, part) in zip((first, second), shares.items(), strict=True):
            stage["train"] = {"minutes": part}
            stage["reasons"]["train.minutes"] = f"the share of the {name} stage in {minutes:g} min"
    return merge(settings, first), merge(settings, second)


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
            f"{KEY} cannot be combined with {found[0]}: the second stage has further channels. Omit one of "
            "them."
        )
    if not find_task(plan.task).has_label_maps:
        raise ConfigError(f"{KEY} is for label maps; the task is {plan.task!r}. Omit it.")
    if num_processes() > 1:
        raise ConfigError(f"A cascade needs a single process. Train on one device, or omit {KEY}.")
