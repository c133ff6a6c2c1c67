"""`limner report RUN`: the HTML report of a run, or of the log of another program."""

from pathlib import Path

import typer


def report(
    run: Path = typer.Argument(help="A run folder, such as runs/nuclei, or a log of another program."),  # noqa: B008
    show: bool = typer.Option(False, "--open", help="Open the page in the browser."),
) -> None:
    """Write the HTML report of a run.

    Shows scores, examples, curves, data and every setting; of a log of another program, curves and facts.
    Scores that an interrupted run lacks are computed first.
    """
    from limner.api.report import report as write
    from limner.cli.console import console, tracker

    page = write(run, track=tracker())
    megabytes = max(page.stat().st_size / 1e6, 0.1)
    console().print(f"{page}  ({megabytes:.1f} MB, self-contained)")
    if show:
        typer.launch(page.resolve().as_uri())
