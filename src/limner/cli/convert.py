"""`limner convert`: a dataset in another format."""

from pathlib import Path
from typing import Annotated

import typer


def convert(
    source: Annotated[Path, typer.Argument(help="The folder of labelled images; it is not changed.")],
    target: Annotated[Path, typer.Argument(help="The folder to write; it must be new or empty.")],
    to: Annotated[str, typer.Option(help="The format to write; an unknown name lists all.")],
    lossy: Annotated[bool, typer.Option("--lossy", help="Convert even if information is lost.")] = False,
    mend: Annotated[
        bool,
        typer.Option("--mend", help="Accept proposals of check; omit duplicates and unreadable files."),
    ] = False,
    suffix: Annotated[
        str | None, typer.Option(help="Suffix of volumes: .nii.gz, .nii, .nrrd, .mha or .npz.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted conversion.")] = False,
) -> None:
    """Write a dataset in another format.

    Converts images, masks, classes and splits. Information that would be lost is listed first.
    """
    from limner.api.convert import convert as write
    from limner.cli.console import console, tracker

    done = write(source, target, to=to, lossy=lossy, mend=mend, suffix=suffix, resume=resume, track=tracker())
    for loss in done.losses:
        console().print(f"Not converted: {loss}", style="warning")
    console().print(f"{done.num_images} images, {done.num_masks} labelled, as {done.format}")
    console().print(f"Written: {done.path}", style="good")
