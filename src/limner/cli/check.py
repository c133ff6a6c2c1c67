"""`limner check`: contents and problems of a dataset."""

import json
from pathlib import Path
from typing import Annotated

import typer


def check(
    data: Annotated[Path | None, typer.Argument(help="The folder of labelled images.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    accept: Annotated[
        bool, typer.Option("--accept", help="Write the proposals to dataset.yaml in the dataset folder.")
    ] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of dataset.yaml, for editors.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write an HTML page with classes, sizes, samples and findings.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of reading threads; default: all cores.")
    ] = None,
) -> None:
    """Find images and masks, and report problems.

    Reads every file once and prints a table of the labels and their classes.

    The exit code is 1 if there are errors that prevent training.
    """
    if schema:
        from limner.core.dataset_file import json_schema

        print(json.dumps(json_schema(), indent=2))
        return
    if data is None:
        raise typer.BadParameter("Name the folder of labelled images.", param_hint="DATA")
    from limner.api.check import check as examine
    from limner.cli.console import tracker

    if report is not None:
        from limner.storage.own_outputs import refuse_taken_file

        refuse_taken_file(report, by="check")
    result = examine(data, accept=accept, workers=workers, track=tracker())
    if report is not None:
        from limner.reporting.check_report import write_check_report

        write_check_report(result, report)
    if as_json:
        print(json.dumps(result.to_dict(), indent=2))
    else:
        from limner.cli.check_output import show

        show(result, data)
        if report is not None:
            print(f"Report: {report}")
    if result.errors:
        raise typer.Exit(1)
