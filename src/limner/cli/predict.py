"""`limner predict MODEL PATHS... --out DIR`: prediction of images."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limner.cli.inference_options import (
    Device,
    Flips,
    LargestComponent,
    Overlap,
    Precision,
    Range,
    Resize,
    Scales,
    Window,
    inference_options,
)

if TYPE_CHECKING:
    from limner.api.predict import PredictResult


def predict(
    model: Annotated[Path, typer.Argument(help="A model folder, or the run folder that contains it.")],
    paths: Annotated[list[str], typer.Argument(help="Images, folders, globs, or .txt lists of images.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")],
    overlay: Annotated[bool, typer.Option(help="Draw the classes on each image.")] = True,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Also write the probability of each class.")
    ] = False,
    sort: Annotated[
        bool, typer.Option("--sort", help="Classification: copy each image to a folder of its class.")
    ] = False,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format", help="Also write boxes as voc or labelme, or words as cutouts (images); repeatable."
        ),
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(help="Labelled folder of the images: also draw truth, hits and errors."),
    ] = None,
    animation: Annotated[
        bool, typer.Option("--animation", help="Also write a GIF through each volume.")
    ] = False,
    sizes: Annotated[
        bool, typer.Option("--sizes", help="Also write the volume of each class and part in mm3.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted prediction.")] = False,
    window: Window = "",
    overlap: Overlap = None,
    flips: Flips = None,
    scales: Scales = "",
    resize: Resize = "",
    largest_component: LargestComponent = "",
    value_range: Range = None,
    device: Device = "auto",
    precision: Precision = "",
) -> None:
    """Predict images.

    Writes masks with your label values at the size of the images, or a table of classes, and overlays.
    """
    from limner.api.load import load
    from limner.api.predict import predict as predict_images
    from limner.cli.console import tracker

    predictor = load(model, device=device, precision=precision or None, value_range=value_range)
    predictor.settings = inference_options(
        predictor.plan,
        window=window,
        overlap=overlap,
        flips=flips,
        scales=scales,
        resize=resize,
        largest_component=largest_component,
    )
    _show(
        predict_images(
            predictor,
            paths,
            out=out,
            overlay=overlay,
            probabilities=probabilities,
            sort=sort,
            formats=formats or (),
            compare=compare,
            animation=animation,
            sizes=sizes,
            resume=resume,
            track=tracker(),
        )
    )


def _show(result: "PredictResult") -> None:
    """Print what was predicted; the exit code is 1 if an image could not be."""
    from limner.cli.console import console, messages

    for failure in result.failures:
        messages().print(f"skipped {failure.path}: {failure.reason}", style="error")
    total = result.num_predicted + len(result.failures)
    where = result.csv or result.out
    console().print(f"{result.num_predicted} of {total} images predicted; the results are in {where}")
    if result.failures:
        raise typer.Exit(1)
