"""`limner train DATA`: a trained and scored model from labelled images."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from limner.cli.launching import Launch, train_in_processes
from limner.cli.option_groups import with_option_groups
from limner.cli.plan_options import PlanOptions
from limner.cli.shared_options import Accept, Device

SHORTEST_MINUTES = 0.05
"""Smallest time budget of a training."""


@with_option_groups
def train(
    data: Annotated[
        Path | None,
        typer.Argument(help="A dataset folder, or a YAML file of settings (a recipe, a plan.yaml)."),
    ] = None,
    run: Annotated[str | None, typer.Option(help="Name or folder of the run; default: a new name.")] = None,
    *,
    wanted: PlanOptions,
    folds: Annotated[
        int, typer.Option(help="Cross-validation: number of folds, each with a model of its own.")
    ] = 0,
    group: Annotated[
        str | None,
        typer.Option(
            help=r"With --folds: expression for images that stay together, as of a patient: '^(\w+?)_'."
        ),
    ] = None,
    accept: Accept = False,
    resume: Annotated[Path | None, typer.Option(metavar="RUN", help="Continue an interrupted run.")] = None,
    data_changed: Annotated[
        bool, typer.Option("--data-changed", help="With --resume: continue although the data has changed.")
    ] = False,
    device: Device = "auto",
    launch: Launch,
) -> None:
    """Check the data, plan, train, and score the model."""
    if launch.needs_processes():
        launch.refuse_what_needs_one_process(device, folds)
        train_in_processes(launch, data=data, run=run, resume=resume)
        return
    from limner.api.cross_validate import cross_validate
    from limner.api.train import resume as resume_run
    from limner.api.train import train as train_run
    from limner.cli.console import tracker
    from limner.cli.run_page import show_run
    from limner.devices.processes import is_first_process
    from limner.tracking.progress_display import ProgressDisplay

    watchers = [ProgressDisplay()]
    if resume is not None:
        _refuse_options_of_new_runs(data, wanted, run, folds, group, accept)
        folder = resume_run(
            resume, data_changed=data_changed, device=device, track=tracker(), watchers=watchers
        )
    else:
        place = _data_of_new_run(data, wanted, data_changed=data_changed, folds=folds, group=group)
        begin = partial(cross_validate, folds=folds, group=group) if folds else train_run
        folder = begin(
            place,
            run=run,
            **wanted.arguments(),
            accept=accept,
            device=device,
            track=tracker(),
            watchers=watchers,
        )
    if is_first_process():
        show_run(folder)


def _refuse_options_of_new_runs(data: Path | None, wanted: PlanOptions, *others: object) -> None:
    """Refuse data and settings for a run that is resumed, which has its own."""
    from limner.core.errors import ConfigError

    if data is not None or wanted.words() or any(others):
        raise ConfigError("--resume uses the plan of the run: specify the run and nothing else.")


def _data_of_new_run(
    data: Path | None, wanted: PlanOptions, *, data_changed: bool, folds: int, group: str | None
) -> Path:
    """Return the data; refuse a new run without data or time, or with options that are not for it."""
    from limner.core.errors import ConfigError

    if data is None:
        raise ConfigError(
            "Specify the data: limner train DATA, or a run to continue: limner train --resume RUN"
        )
    if data_changed:
        raise ConfigError("--data-changed is for a run that is continued: limner train --resume RUN")
    if group is not None and not folds:
        raise ConfigError("--group is for the folds of a cross-validation: add --folds.")
    if wanted.minutes is not None and not wanted.minutes >= SHORTEST_MINUTES:
        raise ConfigError(
            f"--minutes should be greater than or equal to {SHORTEST_MINUTES}; found {wanted.minutes:g}."
        )
    return data
