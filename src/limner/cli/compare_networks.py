"""`limner compare-networks DATA --networks unet,pspnet`: comparison of networks on one dataset."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limner.cli.shared_options import Accept, Device, Processes, Spatial

if TYPE_CHECKING:
    from limner.core.network_comparison import Comparison


def compare_networks(
    data: Annotated[Path, typer.Argument(help="A dataset folder, or a YAML file of settings.")],
    networks: Annotated[
        str,
        typer.Option(metavar="A,B,C", help="Names in `limner networks`; variants such as pspnet/resnet18c."),
    ],
    minutes: Annotated[float | None, typer.Option(min=0.05, help="Training time of each network.")] = None,
    spatial: Spatial = None,
    out: Annotated[Path | None, typer.Option(help="Folder; default: runs/compare-DATA.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set a value of the plan for all networks."),
    ] = None,
    accept: Accept = False,
    device: Device = "auto",
    processes: Processes = None,
) -> None:
    """Train several networks in the same way, and compare them.

    Compares scores, time, memory and size. Run it again to continue.
    """
    from limner.api.compare_networks import compare_networks as compare
    from limner.cli.console import tracker
    from limner.core.config import merge_assignments
    from limner.tracking.progress_display import ProgressDisplay

    names = [name.strip() for name in networks.split(",") if name.strip()]
    comparison = compare(
        data,
        names,
        out=out,
        minutes=minutes,
        spatial=spatial,
        settings=merge_assignments(settings or []),
        accept=accept,
        device=device,
        processes=processes,
        track=tracker(),
        watchers=[ProgressDisplay()],
    )
    _show(comparison)
    if any(network.problem for network in comparison.networks):
        raise typer.Exit(1)


def _show(comparison: "Comparison") -> None:
    from limner.cli.console import console, table
    from limner.core.score_names import SCORES

    scores = {SCORES[name].label: name for name in comparison.shown_scores}
    costs = ("parameters", "multiply-adds", "prediction", "training memory", "steps")
    made = table("network", *scores, *costs, numbers=(*scores, *costs))
    for row in comparison.best_first:
        values = [row.scores.get(name) for name in scores.values()]
        made.add_row(
            row.name,
            *("-" if value is None else f"{value:.4f}" for value in values),
            *(
                "-" if value is None else f"{value / scale:,.{digits}f}{unit}"
                for value, scale, digits, unit in (
                    (row.parameters, 1e6, 1, " M"),
                    (row.multiply_adds, 1e9, 1, " G"),
                    (row.predict_seconds, 1e-3, 0, " ms"),
                    (row.training_bytes, 1e9, 2, " GB"),
                    (row.steps, 1, 0, ""),
                )
            ),
        )
    console().print(made)
    for row in comparison.networks:
        if row.problem:
            console().print(
                f"{row.name}: {row.problem} (see {comparison.run_of(row.name)}/problem.txt)", style="error"
            )
    console().print(f"Table, page and plot: {comparison.table}, {comparison.page}, {comparison.plot}")
