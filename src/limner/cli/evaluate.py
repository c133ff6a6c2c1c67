"""`limner evaluate RUN`."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limner.cli.settings import parse_scales, parse_window

if TYPE_CHECKING:
    from limner.api.evaluate import EvaluateResult
    from limner.evaluation.semantic import SemanticScores


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run folder, or a model folder with --data.")],
    split: Annotated[str, typer.Option(help="val, test or train; empty takes val, or all of --data.")] = "",
    data: Annotated[Path | None, typer.Option(help="Other labelled images than the training's.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the results.")] = None,
    window: Annotated[str, typer.Option(help="Slide a window of this size, such as 512x512.")] = "",
    overlap: Annotated[
        float | None, typer.Option(min=0, max=0.95, help="Part of a window that the next covers again.")
    ] = None,
    flips: Annotated[
        bool | None, typer.Option("--flips/--no-flips", help="Average over mirrored images.")
    ] = None,
    scales: Annotated[str, typer.Option(help="Average over these zooms, such as 0.75,1,1.25.")] = "",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps, xpu, ...")] = "auto",
    precision: Annotated[str, typer.Option(help="float32, bfloat16 or float16; empty chooses.")] = "",
) -> None:
    """Measure a model on labelled images: scores, per-image scores, pictures of the worst and best."""
    from limner.api.evaluate import evaluate as evaluate_model
    from limner.api.load import model_folder
    from limner.api.predict import inference_settings
    from limner.cli.console import messages, tracker
    from limner.weights.bundle import read_plan

    plan = read_plan(model_folder(run))
    settings = inference_settings(
        plan.inference,
        window=parse_window(window, plan.input.spatial_dims),
        overlap=overlap,
        flips=flips,
        scales=parse_scales(scales),
    )
    result = evaluate_model(
        run,
        data=data,
        split=split or None,
        out=out,
        settings=settings,
        device=device,
        precision=precision or None,
        track=tracker(),
    )
    _print_scores(result)
    for skipped in result.skipped:
        messages().print(f"skipped {skipped.name}: {skipped.reason}", style="error")
    if result.skipped:
        raise typer.Exit(1)


def _print_scores(result: "EvaluateResult") -> None:
    from limner.evaluation.semantic import SemanticScores

    if isinstance(result.scores, SemanticScores):
        _print_pixel_scores(result, result.scores)
    else:
        _print_segment_scores(result)


def _print_segment_scores(result: "EvaluateResult") -> None:
    """Print a table of the classes, then the scores over all of them."""
    from limner.cli.console import console, table

    found = result.scores.to_dict()
    classes = found["classes"]
    columns = [name for name in classes[0] if name not in ("name", "is_thing")]
    images = f"{result.scores.num_images} image{'s' * (result.scores.num_images != 1)}"
    titles = [column.replace("_", " ") for column in columns]
    made = table("class", *titles, numbers=titles, title=f"{result.split}: {images}")
    for row in classes:
        made.add_row(row["name"], *(_cell(row[column]) for column in columns))
    console().print(made)
    overall = {name: value for name, value in found.items() if isinstance(value, float)}
    console().print(
        "   ".join(f"{name.replace('_', ' ')} {_score(value)}" for name, value in overall.items())
    )
    console().print(f"What each score means, scores of each image, and pictures: {result.out}")


def _cell(value: float | int) -> str:
    return str(value) if isinstance(value, int) else _score(value)


def _print_pixel_scores(result: "EvaluateResult", scores: "SemanticScores") -> None:
    from limner.cli.console import console, table

    pixel = scores.pixel
    names = ("IoU", "Dice", "precision", "recall", "pixels %")
    images = f"{scores.num_images} image{'s' * (scores.num_images != 1)}"
    made = table("class", *names, numbers=names, title=f"{result.split}: {images}")
    total = max(1, int(pixel.pixels.sum()))
    for i, name in enumerate(scores.labels.names):
        numbers = (pixel.iou[i], pixel.dice[i], pixel.precision[i], pixel.recall[i])
        made.add_row(name, *(_score(float(n)) for n in numbers), f"{100 * pixel.pixels[i] / total:.2f}")
    made.add_section()
    made.add_row("mean", _score(pixel.mean_iou), _score(pixel.mean_dice), "", "", "")
    console().print(made)
    has_background = scores.labels.background_index is not None
    foreground = f"foreground Dice {_score(scores.foreground_dice)}   " if has_background else ""
    lines = [
        f"{foreground}pixel accuracy {_score(pixel.pixel_accuracy)}   "
        f"frequency-weighted IoU {_score(pixel.frequency_weighted_iou)}"
    ]
    if pixel.num_absent:
        lines.append(f"{pixel.num_absent} classes are in neither truth nor prediction; no mean counts them.")
    lines.append(f"What each score means, scores of each image, and pictures: {result.out}")
    console().print("\n".join(lines))


def _score(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"
