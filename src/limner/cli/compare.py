"""`limner compare RUN RUN ...`: comparison of finished runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from limner.api.compare import CompareResult


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, or logs of other programs.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the page and pictures.")] = Path(
        "comparison"
    ),
    curves: Annotated[
        str, typer.Option(metavar="A,B,C", help="Logged values to draw, such as val/iou/polyp.")
    ] = "",
) -> None:
    """Compare finished runs.

    Shows curves, scores with intervals, settings that differ, and times.
    """
    from limner.api.compare import compare as compare_runs

    wanted = [name.strip() for name in curves.split(",") if name.strip()]
    _show(compare_runs(runs, out=out, curves=wanted))


def _show(result: "CompareResult") -> None:
    from limner.cli.console import console, table
    from limner.reporting.numbers import MISSING
    from limner.reporting.run_comparison import differences_in_words, time_of

    compared = result.compared
    made = table("", *compared.names, numbers=compared.names)
    for title, numbers in compared.shown.items():
        made.add_row(title, *numbers)
    times = [run.logged | time_of(run) for run in compared.runs]
    for head in dict.fromkeys(key for row in times for key in row):
        made.add_row(head, *(row.get(head, MISSING) for row in times))
    console().print(made)
    if compared.split:
        console().print("\n".join((*compared.notes, *differences_in_words(compared))), markup=False)
    for run in compared.runs:
        for file, why in run.unreadable.items():
            console().print(f"{run.root / file} could not be read: {why}", style="warning")
    console().print(f"Written: {', '.join(map(str, result.files))}")
