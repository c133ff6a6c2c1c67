"""`limner import CHECKPOINT --out MODEL`: conversion of a checkpoint of another project."""

import shlex
from pathlib import Path
from typing import Annotated

import typer


def import_checkpoint(
    checkpoint: Annotated[
        Path, typer.Argument(help="A folder with config.json, or a .pth, .pt, .bin, .pkl or .safetensors.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The model folder to write.")],
    task: Annotated[
        str | None, typer.Option(help="semantic, instance or panoptic, if it cannot be inferred.")
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(help="Class names in trained order: one per line, or as in dataset.yaml.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="Licence of the weights, if it cannot be inferred.")
    ] = None,
    network: Annotated[
        str | None, typer.Option(help="A name in `limner networks`, for a state dict of unknown origin.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set what the checkpoint does not contain."),
    ] = None,
    part: Annotated[
        str | None, typer.Option(help="Key of the state dict in a file with several, such as model_ema.")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare with the library that wrote it, if it is installed.")
    ] = False,
) -> None:
    """Convert another project's checkpoint to a model folder.

    Prints what was inferred, and why. No code in pickle files is run.
    """
    from limner.api.import_checkpoint import import_checkpoint as do_import
    from limner.cli.console import console, table
    from limner.core.config import merge_assignments

    done = do_import(
        checkpoint,
        out=out,
        task=task,
        classes=classes,
        licence=licence,
        network=network,
        settings=merge_assignments(settings or []),
        part=part,
        verify=verify,
    )
    console().print(f"{done.path}, written by {done.source}", style="heading")
    shown = table("what", "found")
    for name, said in done.facts.items():
        shown.add_row(name, said)
    console().print(shown)
    tensors = table("tensors", "how many")
    for name, said in done.tensors.rows():
        tensors.add_row(name, said)
    console().print(tensors)
    console().print(f"Written: {out}", style="good")
    console().print(f"Predict with it: limner predict {shlex.quote(str(out))} IMAGES --out predicted")
