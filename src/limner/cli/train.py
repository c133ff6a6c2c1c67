"""`limner train DATA`: a trained and scored model from labelled images."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer


def train(
    data: Annotated[
        Path | None,
        typer.Argument(help="A dataset folder, or a YAML file of settings (a recipe, a plan.yaml)."),
    ] = None,
    run: Annotated[str | None, typer.Option(help="Name or folder of the run; default: a new name.")] = None,
    task: Annotated[
        str | None, typer.Option(help="A task, such as instance; default: the first that the labels are for.")
    ] = None,
    network: Annotated[str | None, typer.Option(help="A name in `limner networks`.")] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="Start from a model, a run, or another project's checkpoint (`limner import`)."),
    ] = None,
    teacher: Annotated[
        Path | None, typer.Option(help="Also learn the outputs of this model: a model, a run, a checkpoint.")
    ] = None,
    unlabelled: Annotated[
        Path | None,
        typer.Option(help="With --weights: also learn what they predict with confidence in these images."),
    ] = None,
    minutes: Annotated[float | None, typer.Option(min=0.05, help="Time budget for training.")] = None,
    spatial: Annotated[
        str | None,
        typer.Option(help="Volumes: 2d (slices), 2.5d (slices with their neighbours), 3d or auto (default)."),
    ] = None,
    folds: Annotated[
        int, typer.Option(help="Cross-validation: a model for each of so many parts of the images.")
    ] = 0,
    group: Annotated[
        str | None,
        typer.Option(
            help=r"With --folds: expression for images that stay together, as of a patient: '^(\w+?)_'."
        ),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Set a value of the plan.")
    ] = None,
    accept: Annotated[bool, typer.Option(help="Accept the proposals of `limner check`.")] = False,
    resume: Annotated[Path | None, typer.Option(metavar="RUN", help="Continue an interrupted run.")] = None,
    data_changed: Annotated[
        bool, typer.Option("--data-changed", help="With --resume: go on with data that has changed.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps, xpu, ...")] = "auto",
) -> None:
    """Check the data, plan, train, and score the model."""
    from limner.api.cross_validate import cross_validate
    from limner.api.train import resume as resume_run
    from limner.api.train import train as train_run
    from limner.cli.console import tracker
    from limner.cli.run_page import show_run
    from limner.core.config import merge_assignments
    from limner.core.errors import ConfigError
    from limner.devices.processes import is_first_process
    from limner.tracking.progress_display import ProgressDisplay

    watchers = [ProgressDisplay()]
    others = (
        run,
        settings,
        task,
        network,
        weights,
        teacher,
        unlabelled,
        minutes,
        spatial,
        accept,
        folds,
        group,
    )
    _refuse_mixture(data, resume, others, data_changed)
    if group is not None and not folds:
        raise ConfigError("--group is for the folds of a cross-validation: add --folds.")
    if resume is not None:
        folder = resume_run(
            resume, data_changed=data_changed, device=device, track=tracker(), watchers=watchers
        )
    else:
        assert data is not None, "it was refused"
        begin = partial(cross_validate, folds=folds, group=group) if folds else train_run
        folder = begin(
            data,
            run=run,
            task=task,
            network=network,
            weights=weights,
            teacher=teacher,
            unlabelled=unlabelled,
            minutes=minutes,
            spatial=spatial,
            settings=merge_assignments(settings or []),
            accept=accept,
            device=device,
            track=tracker(),
            watchers=watchers,
        )
    if is_first_process():
        show_run(folder)


def _refuse_mixture(data: Path | None, resume: Path | None, others: Sequence[object], changed: bool) -> None:  # noqa: FBT001
    """Refuse options of a new run for one that is resumed, and the other way round."""
    from limner.core.errors import ConfigError

    if resume is not None and (data is not None or any(others)):
        raise ConfigError("--resume uses the plan of the run: specify the run and nothing else.")
    if resume is None and data is None:
        raise ConfigError(
            "Specify the data: limner train DATA, or a run to continue: limner train --resume RUN"
        )
    if resume is None and changed:
        raise ConfigError("--data-changed is for a run that is continued: limner train --resume RUN")
