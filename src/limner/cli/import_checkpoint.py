"""`limner import CHECKPOINT --out MODEL`: conversion of a checkpoint of another project."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from limner.weights.importing import Imported

FOLDS = "folds"
"""Value of `--part` for all folds of nnU-Net, each of which becomes a model."""


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
        str | None,
        typer.Option(
            help="Key of the state dict in a file with several, such as model_ema; of nnU-Net the fold, or "
            f"{FOLDS} to import each of them to OUT/fold_0, OUT/fold_1, ..."
        ),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare with the library that wrote it, if it is installed.")
    ] = False,
    image: Annotated[
        Path | None, typer.Option(help="Draw its predictions under each reading, in OUT_readings.png.")
    ] = None,
) -> None:
    """Convert another project's checkpoint to a model folder.

    Prints what was inferred, and why. No code in pickle files is run.
    """
    from limner.api.import_checkpoint import import_checkpoint as do_import
    from limner.cli.console import console
    from limner.core.config import merge_assignments
    from limner.weights.project_folders import nnunet_folds

    folds = nnunet_folds(checkpoint) if part == FOLDS else ()
    models: dict[Path, str | None] = {out / fold: fold for fold in folds}
    models = models or {out: part}
    for folder, key in models.items():
        done = do_import(
            checkpoint,
            out=folder,
            task=task,
            classes=classes,
            licence=licence,
            network=network,
            settings=merge_assignments(settings or []),
            part=key,
            verify=verify,
            image=image,
        )
        _show(done, folder, image)
    said = " ".join(shlex.quote(str(folder)) for folder in models)
    console().print(f"Predict with {'them' if folds else 'it'}: limner predict {said} IMAGES --out predicted")


def _show(done: "Imported", out: Path, image: Path | None) -> None:
    """Print what was inferred, and what became of the tensors."""
    from limner.cli.console import console, table

    console().print(f"{done.path}, written by {done.source}", style="heading")
    shown = table("what", "found")
    for name, said in done.facts.items():
        shown.add_row(name, said)
    console().print(shown)
    tensors = table("tensors", "how many")
    for name, said in done.tensors.rows():
        tensors.add_row(name, said)
    console().print(tensors)
    if done.open_choices:
        _show_open_choices(done, out, image)
    elif image is not None:
        console().print("Nothing is left open, so there are no readings to draw.")
    console().print(f"Written: {out}", style="good")


def _show_open_choices(done: "Imported", out: Path, image: Path | None) -> None:
    """Print what was assumed, and how to set the other readings."""
    from limner.api.import_readings import readings_path
    from limner.cli.console import console, table

    shown = table("assumed", "taken", "also possible", "set with")
    for choice in done.open_choices:
        for number, reading in enumerate(choice.others):
            said = ("", "") if number else (choice.topic, choice.taken)
            shown.add_row(*said, reading.words, reading.command)
    console().print(shown)
    if image is None:
        console().print("See the predictions of each reading: add --image IMAGE, one that you know.")
    else:
        console().print(f"Each reading, drawn: {readings_path(out)}", style="good")
