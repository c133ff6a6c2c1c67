"""`limner export MODEL`: a file for another runtime, proved equal to the model."""

import shlex
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class Finish(str, Enum):
    """What an exported file returns."""

    outputs = "outputs"
    probabilities = "probabilities"
    labels = "labels"


def export(
    model: Annotated[Path, typer.Argument(help="A model folder, or a run.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")],
    to: Annotated[str, typer.Option(help="onnx, or torch for a program of torch.export.")] = "onnx",
    finish: Annotated[
        Finish,
        typer.Option(help="For other programs: probabilities or labels at the size of the image."),
    ] = Finish.outputs,
    size: Annotated[
        str | None,
        typer.Option(
            help="Image size of the file, such as 512x512, or any; default: the plan's window or crop."
        ),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Images for the comparison; default: validation images of the run.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option(min=0, help="Largest difference, as a fraction of the range of an output.")
    ] = 1e-3,
) -> None:
    """Export a model to ONNX or to a PyTorch program.

    The file is run in its own runtime and compared with the model; one that differs is not kept.
    """
    from limner.api.export import export as do_export
    from limner.cli.console import console, table
    from limner.cli.number_options import parse_size

    is_any = size == "any"
    sides = None if size is None or is_any else parse_size(size, option="--size")
    card = do_export(
        model,
        to=to,
        out=out,
        finish=finish.value,
        size="any" if is_any else sides,
        images=images,
        tolerance=tolerance,
    )
    found = card.agreement
    shown = table("output", "largest difference", "of its range")
    for name in card.outputs:
        shown.add_row(name, f"{found['largest'][name]:.2g}", f"{found['relative'][name]:.2g}")
    console().print(f"{out / card.file}, compared with the model on {found['images']}", style="heading")
    console().print(shown)
    if found["labels_differ"] is not None:
        console().print(f"Classes that differ: {100 * found['labels_differ']:.4f} %")
    ours, theirs = (1000 * found[f"seconds_{which}"] for which in ("model", "export"))
    console().print(f"Time of an image: {theirs:.1f} ms, of the model {ours:.1f} ms")
    console().print(f"Written: {out}", style="good")
    if finish is Finish.outputs:
        console().print(f"Predict with it: limner predict {shlex.quote(str(out))} IMAGES --out predicted")
