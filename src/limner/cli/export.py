"""`limner export MODEL`: a file for another runtime, proved equal to the model."""

import shlex
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limner.cli.option_groups import with_option_groups

if TYPE_CHECKING:
    from limner.weights.exported import ExportCard


class Finish(str, Enum):
    """What an exported file returns."""

    outputs = "outputs"
    probabilities = "probabilities"
    labels = "labels"


class FilePrecision(str, Enum):
    """How a file stores weights and computes."""

    float32 = "float32"
    float16 = "float16"
    int8 = "int8"


@dataclass(frozen=True)
class FileOptions:
    """How the file is written, and what it may lose."""

    precision: Annotated[
        FilePrecision,
        typer.Option(help="float16 for half the size; int8 for a quarter, and speed on processors."),
    ] = FilePrecision.float32
    opset: Annotated[
        int | None, typer.Option(help="Version of ONNX's operators, for older runtimes; at least 18.")
    ] = None
    calibrate: Annotated[
        Path | None, typer.Option(help="int8: images to calibrate with; default: training images of the run.")
    ] = None
    max_loss: Annotated[
        float, typer.Option(min=0, help="float16 and int8: largest loss of the main score.")
    ] = 0.02


@with_option_groups
def export(
    model: Annotated[Path, typer.Argument(help="A model folder, or a run.")],
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")],
    to: Annotated[
        str, typer.Option(help="onnx, openvino, executorch, or torch for a program of torch.export.")
    ] = "onnx",
    finish: Annotated[
        Finish,
        typer.Option(help="For other programs: probabilities or labels at the size of the image."),
    ] = Finish.outputs,
    size: Annotated[
        str | None,
        typer.Option(
            help="Image size of the file, such as 512x512, or any; default: the plan's window or crop, any "
            "for classes of whole images."
        ),
    ] = None,
    file: FileOptions,
    images: Annotated[
        Path | None, typer.Option(help="Images for the comparison; default: validation images of the run.")
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Largest difference, as a fraction of an output's range; default: 0.001, in float16 0.02.",
        ),
    ] = None,
) -> None:
    """Export a model to another runtime.

    Writes ONNX, OpenVINO, ExecuTorch or a program of torch.export. The file is run in its own runtime and
    compared with the model; one that differs is not kept.
    """
    from limner.api.export import export as do_export
    from limner.cli.number_options import parse_size

    is_any = size == "any"
    sides = None if size is None or is_any else parse_size(size, option="--size")
    card = do_export(
        model,
        to=to,
        out=out,
        finish=finish.value,
        size="any" if is_any else sides,
        precision=file.precision.value,
        opset=file.opset,
        images=images,
        calibrate=file.calibrate,
        tolerance=tolerance,
        max_loss=file.max_loss,
    )
    _show(card, out, is_finished=finish is not Finish.outputs)


def _show(card: "ExportCard", out: Path, *, is_finished: bool) -> None:
    """Print how the file differs from the model, and what to do with it."""
    from limner.cli.console import console, table

    found = card.agreement
    shown = table("output", "largest difference", "of its range")
    for name in card.outputs:
        shown.add_row(name, f"{found['largest'][name]:.2g}", f"{found['relative'][name]:.2g}")
    console().print(f"{out / card.file}, compared with the model on {found['images']}", style="heading")
    console().print(shown)
    if found["labels_differ"] is not None:
        console().print(f"Classes that differ: {100 * found['labels_differ']:.4f} %")
    if card.scores is not None:
        _show_scores(card.scores)
    ours, theirs = (1000 * found[f"seconds_{which}"] for which in ("model", "export"))
    console().print(f"Time of an image: {theirs:.1f} ms, of the model {ours:.1f} ms")
    console().print(f"Written: {out}", style="good")
    if not is_finished:
        console().print(f"Predict with it: limner predict {shlex.quote(str(out))} IMAGES --out predicted")


def _show_scores(found: dict[str, Any]) -> None:
    """Print the scores of the model and of the file."""
    from limner.cli.console import console, table
    from limner.core.score_names import SCORES

    shown = table("score", "model", "file")
    for name, score in found["model"].items():
        shown.add_row(SCORES[name].title, f"{score:.4f}", f"{found['export'][name]:.4f}")
    console().print(f"Scores on {found['images']}:", style="heading")
    console().print(shown)
