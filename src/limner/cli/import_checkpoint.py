"""`limner import CHECKPOINT --out MODEL`: conversion of a checkpoint of another project."""

import shlex
from pathlib import Path
from typing import Annotated

import typer


def import_checkpoint(
    checkpoint: Annotated[
        Path, typer.Argument(help="A Hugging Face Mask2Former folder, or the authors' .pkl or .pth.")
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
) -> None:
    """Convert another project's checkpoint to a model folder.

    Prints what was inferred, and why. No code in pickle files is run.
    """
    from limner.api.import_checkpoint import import_checkpoint as do_import
    from limner.cli.console import console, table

    done = do_import(checkpoint, out=out, task=task, classes=classes, licence=licence)
    console().print(f"{done.path}, written by {done.source}", style="heading")
    shown = table("what", "found")
    for name, said in done.facts.items():
        shown.add_row(name, said)
    shown.add_row("tensors", f"all {done.num_loaded} of the network; {_unused_words(done.unused)}")
    console().print(shown)
    console().print(f"Written: {out}", style="good")
    console().print(f"Predict with it: limner predict {shlex.quote(str(out))} IMAGES --out predicted")


def _unused_words(unused: tuple[str, ...]) -> str:
    if not unused:
        return "all used"
    return f"{len(unused)} not needed for prediction, such as {unused[0]}"
