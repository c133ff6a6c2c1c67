"""`limner stats`: statistics of the training images."""

import json
from pathlib import Path
from typing import Annotated

import typer


def stats(
    data: Annotated[Path, typer.Argument(help="The folder of labelled images.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Summarise the training images.

    Prints sizes, intensities, classes, and whether mirroring is safe.
    """
    from limner.api.stats import stats as sum_up
    from limner.cli.console import tracker

    found = sum_up(data, track=tracker())
    if as_json:
        print(json.dumps(found.to_dict(), indent=2))
        return
    from limner.cli.fingerprint_page import show_fingerprint, show_orientation

    show_fingerprint(found)
    show_orientation(found)
