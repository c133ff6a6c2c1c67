"""`limner tune DATA`: learning-rate range test, or a search over settings."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limner.cli.shared_options import Accept, Device, Network, Processes, Task

if TYPE_CHECKING:
    from limner.core.tuning import Tuning


def tune(
    data: Annotated[Path, typer.Argument(help="A dataset folder, or a YAML file of settings.")],
    over: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=LOW..HIGH", help="Search a setting: a range, values A,B,C, or KEY alone."),
    ] = None,
    minutes: Annotated[float | None, typer.Option(min=0.05, help="Training time of the search.")] = None,
    trials: Annotated[int, typer.Option(min=2, help="Number of candidates in the first round.")] = 9,
    out: Annotated[Path | None, typer.Option(help="Folder; default: runs/tune-DATA.")] = None,
    task: Task = None,
    network: Network = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set a value of the plan for every trial."),
    ] = None,
    accept: Accept = False,
    device: Device = "auto",
    processes: Processes = None,
) -> None:
    """Find a good learning rate and good settings.

    Without --over, one short run tests learning rates. Run a search again to continue.
    """
    from limner.api.tune import tune as tune_settings
    from limner.cli.console import tracker
    from limner.core.config import merge_assignments
    from limner.tracking.progress_display import ProgressDisplay

    found = tune_settings(
        data,
        over or (),
        minutes=minutes,
        trials=trials,
        out=out,
        task=task,
        network=network,
        settings=merge_assignments(settings or []),
        accept=accept,
        device=device,
        processes=processes,
        track=tracker(),
        watchers=[ProgressDisplay()],
    )
    _show(found, searched=bool(over))


def _show(found: "Tuning", *, searched: bool) -> None:
    from limner.cli.console import console, table
    from limner.reporting.tuning_page import verdict_on_rates

    if not searched:
        assert found.rate_test is not None
        console().print(verdict_on_rates(found.rate_test))
        if found.rate_test.suggestion is not None:
            console().print(f"Use it with: --set optimizer.learning_rate={found.rate_test.suggestion:g}")
        console().print(f"Page and plot: {found.page}, {found.plot}")
        return
    keys = list(dict.fromkeys(key for trial in found.trials for key in trial.settings))
    made = table("round", "candidate", *keys, found.score_name, "steps", numbers=(found.score_name, "steps"))
    for trial in sorted(found.trials, key=lambda t: (-t.round, -t.rank)):
        made.add_row(
            str(trial.round),
            "the plan" if trial.candidate == 1 else str(trial.candidate),
            *(str(trial.settings.get(key, "-")) for key in keys),
            trial.problem or ("-" if trial.score is None else f"{trial.score:.4f}"),
            "-" if trial.steps is None else str(trial.steps),
        )
    console().print(made)
    console().print(f"Page and table: {found.page}, {found.table}")
    if found.best is None:
        raise typer.Exit(1)
    console().print(f"Train with the best: limner train {found.recipe} --minutes ...")
