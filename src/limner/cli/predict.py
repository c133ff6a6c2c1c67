"""`limner predict MODEL PATHS... --out DIR`: prediction of images."""

from pathlib import Path
from typing import Annotated

import typer

from limner.cli.number_options import parse_resize, parse_scales, parse_window


def predict(
    model: Annotated[Path, typer.Argument(help="A model folder, or the run folder that contains it.")],
    paths: Annotated[list[str], typer.Argument(help="Images, folders, globs, or .txt lists of images.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")],
    overlay: Annotated[bool, typer.Option(help="Draw the classes on each image.")] = True,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Also write (classes, H, W) float16 .npy files.")
    ] = False,
    compare: Annotated[
        Path | None,
        typer.Option(help="Labelled folder of the images: also draw truth, hits and errors."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted prediction.")] = False,
    window: Annotated[str, typer.Option(help="Size of a sliding window, such as 512x512.")] = "",
    overlap: Annotated[
        float | None, typer.Option(min=0, max=0.95, help="Overlap of neighbouring windows, as a fraction.")
    ] = None,
    flips: Annotated[
        bool | None, typer.Option("--flips/--no-flips", help="Average over mirrored images.")
    ] = None,
    scales: Annotated[str, typer.Option(help="Average over these scales, such as 0.75,1,1.25.")] = "",
    resize: Annotated[
        str, typer.Option(help="Resize images first: 800 (shorter side), 800,1333, 384x512, or no.")
    ] = "",
    value_range: Annotated[
        tuple[float, float] | None,
        typer.Option(
            "--range", metavar="LOW HIGH", help="The images' range of values, mapped to the training's."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps, xpu, ...")] = "auto",
    precision: Annotated[str, typer.Option(help="float32, bfloat16 or float16; default: automatic.")] = "",
) -> None:
    """Predict images.

    Writes masks with your label values at the size of the images, and overlays.
    """
    from limner.api.load import load
    from limner.api.predict import inference_settings
    from limner.api.predict import predict as predict_images
    from limner.cli.console import console, messages, tracker

    predictor = load(model, device=device, precision=precision or None, value_range=value_range)
    predictor.settings = inference_settings(
        predictor.settings,
        window=parse_window(window, predictor.plan.input.spatial_dims),
        overlap=overlap,
        flips=flips,
        scales=parse_scales(scales),
        resize=parse_resize(resize, predictor.settings.resize),
    )
    result = predict_images(
        predictor,
        paths,
        out=out,
        overlay=overlay,
        probabilities=probabilities,
        compare=compare,
        resume=resume,
        track=tracker(),
    )
    for failure in result.failures:
        messages().print(f"skipped {failure.path}: {failure.reason}", style="error")
    total = len(result.masks) + len(result.failures)
    console().print(f"{len(result.masks)} of {total} images predicted; the results are in {result.out}")
    if result.failures:
        raise typer.Exit(1)
