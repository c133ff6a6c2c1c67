"""`limner evaluate RUN`, and `limner evaluate --predictions DIR --data DATA`."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limner.cli.number_options import parse_resize, parse_scales, parse_window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from limner.api.evaluate import EvaluateResult
    from limner.evaluation.semantic_scores import SemanticScores

OVERALL = {
    "foreground_dice": "foreground Dice",
    "mean_iou": "mean IoU",
    "mean_dice": "mean Dice",
    "mean_boundary_iou": "mean boundary IoU",
    "mean_boundary_f1": "mean boundary F1",
    "pixel_accuracy": "pixel accuracy",
    "frequency_weighted_iou": "frequency-weighted IoU",
}
"""Scores of the whole, and what they are called."""

SEGMENT_SCORES = {
    "ap": "mask AP",
    "ap50": "mask AP at IoU 0.5",
    "ap75": "mask AP at IoU 0.75",
    "f1": "F1 at IoU 0.5",
    "f1_75": "F1 at IoU 0.75",
    "pq": "panoptic quality (PQ)",
    "sq": "segmentation quality (SQ)",
    "rq": "recognition quality (RQ)",
    "count_error": "objects too many or too few",
    "count_bias": "the same with its sign",
}
"""The same of objects and segments; what is not among them is called as in scores.json."""


def evaluate(
    run: Annotated[Path | None, typer.Argument(help="A run folder, or a model folder with --data.")] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            help="Instead of a model: a folder of masks named like the images of --data, or COCO's JSON."
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="val, test or train; empty takes val, or all of --data.")] = "",
    data: Annotated[Path | None, typer.Option(help="Other labelled images than the training's.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the results.")] = None,
    boundaries: Annotated[bool, typer.Option("--boundaries", help="Also compare outlines.")] = False,
    thresholds: Annotated[
        bool, typer.Option("--thresholds", help="Of two classes: PR and ROC curves, and calibration.")
    ] = False,
    window: Annotated[str, typer.Option(help="Slide a window of this size, such as 512x512.")] = "",
    overlap: Annotated[
        float | None, typer.Option(min=0, max=0.95, help="Part of a window that the next covers again.")
    ] = None,
    flips: Annotated[
        bool | None, typer.Option("--flips/--no-flips", help="Average over mirrored images.")
    ] = None,
    scales: Annotated[str, typer.Option(help="Average over these zooms, such as 0.75,1,1.25.")] = "",
    resize: Annotated[
        str, typer.Option(help="Resize images first: 800 (shorter side), 800,1333, 384x512, or no.")
    ] = "",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps, xpu, ...")] = "auto",
    precision: Annotated[str, typer.Option(help="float32, bfloat16 or float16; empty chooses.")] = "",
) -> None:
    """Measure a model, or anybody's masks.

    Scores, scores of each image, and pictures of the worst and best.
    """
    from limner.api.evaluate import evaluate as evaluate_model
    from limner.api.predict import inference_settings
    from limner.cli.console import messages, tracker
    from limner.weights.bundle import read_plan
    from limner.weights.card import model_folder

    settings = None
    if run is not None:
        plan = read_plan(model_folder(run))
        settings = inference_settings(
            plan.inference,
            window=parse_window(window, plan.input.spatial_dims),
            overlap=overlap,
            flips=flips,
            scales=parse_scales(scales),
            resize=parse_resize(resize, plan.inference.resize),
        )
    result = evaluate_model(
        run,
        predictions=predictions,
        data=data,
        split=split or None,
        out=out,
        boundaries=boundaries,
        thresholds=thresholds,
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
    from limner.evaluation.semantic_scores import SemanticScores

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
    there = [row for row in classes if any(row[column] for column in columns if _is_number(row[column]))]
    for row in there:
        made.add_row(row["name"], *(_cell(row[column]) for column in columns))
    console().print(made)
    if len(there) < len(classes):
        console().print(f"{len(classes) - len(there)} classes are in neither truth nor prediction.")
    for name, value in found.items():
        if isinstance(value, float) and not math.isnan(value):
            words = SEGMENT_SCORES.get(name, name.replace("_", " "))
            console().print(f"{words:32s}{_score(value)}{_between(found['intervals'].get(name))}")
    console().print(_where(result))


def _is_number(value: float | int) -> bool:
    return not math.isnan(value)


def _cell(value: float | int) -> str:
    return str(value) if isinstance(value, int) else _score(value)


def _print_pixel_scores(result: "EvaluateResult", scores: "SemanticScores") -> None:
    from limner.cli.console import console, table

    pixel = scores.pixel
    columns = {"IoU": pixel.iou, "Dice": pixel.dice, "precision": pixel.precision, "recall": pixel.recall}
    if scores.boundary is not None:
        columns |= {"boundary IoU": scores.boundary.iou, "boundary F1": scores.boundary.f1}
    images = f"{scores.num_images} image{'s' * (scores.num_images != 1)}"
    names = (*columns, "pixels %")
    made = table("class", *names, numbers=names, title=f"{result.split}: {images}")
    total = max(1, int(pixel.pixels.sum()))
    for i, name in enumerate(scores.labels.names):
        numbers = [_score(float(values[i])) for values in columns.values()]
        made.add_row(name, *numbers, f"{100 * pixel.pixels[i] / total:.2f}")
    console().print(made)
    console().print("\n".join(_lines(scores)))
    console().print(_where(result))


def _lines(scores: "SemanticScores") -> "Iterator[str]":
    shown = dict(OVERALL)
    if scores.labels.background_index is None:
        del shown["foreground_dice"]  # the same number as pixel accuracy
    values = dict(scores.items())
    for name, words in shown.items():
        if name in values:
            yield f"{words:24s}{_score(values[name])}{_between(scores.intervals.get(name))}"
    found = scores.thresholds
    if found is not None:
        threshold, dice = found.best
        yield (
            f"at every threshold: average precision {_score(found.average_precision)}, area under ROC "
            f"{_score(found.area_under_roc)}, calibration error {_score(found.calibration_error)}; highest "
            f"Dice {_score(dice)} from probability {threshold:.3f} on"
        )
    absent = scores.pixel.num_absent
    if absent:
        yield f"{absent} classes are in neither truth nor prediction; no mean counts them."


def _where(result: "EvaluateResult") -> str:
    return f"What each score means, scores of each image, and pictures: {result.out}"


def _between(ends: tuple[float, float] | None) -> str:
    return "" if ends is None else f"   95 % interval {_score(ends[0])} to {_score(ends[1])}"


def _score(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"
