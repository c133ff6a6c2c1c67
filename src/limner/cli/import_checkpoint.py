"""`limner import CHECKPOINT --out MODEL`."""

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
        str | None, typer.Option(help="semantic, instance or panoptic, where the checkpoint does not tell.")
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(help="Class names in trained order: a name a line, or like dataset.yaml.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="Licence of the weights, where it does not tell.")
    ] = None,
) -> None:
    """Turn another project's checkpoint into a model.

    What was concluded is shown with its reason. Nothing that a pickle holds is run.
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
