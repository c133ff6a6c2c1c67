"""`limner stats`: what are the training images like, in numbers?"""

import json
from pathlib import Path
from typing import Annotated

import typer


def stats(
    data: Annotated[Path, typer.Argument(help="The folder of labelled images.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Sum up the training images.

    Sizes, intensities, classes, and what mirroring would change.
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
