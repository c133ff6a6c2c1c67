"""`limner convert`: the same labelled images in another format."""

from pathlib import Path
from typing import Annotated

import typer


def convert(
    source: Annotated[Path, typer.Argument(help="The folder of labelled images; it is only read.")],
    target: Annotated[Path, typer.Argument(help="The folder to write; new, or empty.")],
    to: Annotated[str, typer.Option(help="The format to write; a wrong name lists them all.")],
    lossy: Annotated[
        bool, typer.Option("--lossy", help="Convert although something cannot be carried over.")
    ] = False,
    mend: Annotated[
        bool,
        typer.Option("--mend", help="Accept what check proposes; leave out copies and what cannot be read."),
    ] = False,
) -> None:
    """Write a dataset in another format.

    Images, masks, classes and splits; what cannot be carried is said and counted first.
    """
    from limner.api.convert import convert as write
    from limner.cli.console import console, tracker

    done = write(source, target, to=to, lossy=lossy, mend=mend, track=tracker())
    for loss in done.losses:
        console().print(f"Not carried over: {loss}", style="warning")
    console().print(f"{done.num_images} images, {done.num_masks} labelled, as {done.format}")
    console().print(f"Written: {done.path}", style="good")
