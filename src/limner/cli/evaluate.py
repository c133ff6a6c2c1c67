"""`limner evaluate RUN`, and `limner evaluate --predictions DIR --data DATA`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limner.cli.inference_options import (
    Device,
    Flips,
    Overlap,
    Precision,
    Range,
    Resize,
    Scales,
    Window,
    inference_options,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from limner.api.evaluate import EvaluateResult
    from limner.evaluation.scores_file import ClassRow, ScoresFile

MOST_ROWS = 40
"""Maximum number of classes of whole images in the table of the terminal."""

Predictions = Annotated[
    Path | None,
    typer.Option(
        help="Instead of a model: masks, YOLO's boxes or ICDAR's words, named like the images, or COCO JSON."
    ),
]
ByPosition = Annotated[
    bool, typer.Option("--by-position", help="Match the classes of --data with the model's by their order.")
]
Boundaries = Annotated[bool, typer.Option("--boundaries", help="Also score boundaries.")]
Thresholds = Annotated[
    bool, typer.Option("--thresholds", help="For two classes: PR and ROC curves, and calibration.")
]
Maps = Annotated[
    bool, typer.Option("--maps", help="Also write a grey map of right and wrong pixels of each image.")
]


def evaluate(
    run: Annotated[Path | None, typer.Argument(help="A run folder, or a model folder with --data.")] = None,
    predictions: Predictions = None,
    split: Annotated[
        str, typer.Option(help="val, test or train; default: val, or all images of --data.")
    ] = "",
    data: Annotated[
        Path | None, typer.Option(help="Other labelled images than those of the training.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the results.")] = None,
    by_position: ByPosition = False,
    boundaries: Boundaries = False,
    thresholds: Thresholds = False,
    maps: Maps = False,
    window: Window = "",
    overlap: Overlap = None,
    flips: Flips = None,
    scales: Scales = "",
    resize: Resize = "",
    value_range: Range = None,
    device: Device = "auto",
    precision: Precision = "",
) -> None:
    """Score a model, or predictions of any program.

    Writes scores, per-image scores, and pictures of the worst and best images.
    """
    from limner.api.evaluate import evaluate as evaluate_model
    from limner.cli.console import tracker
    from limner.weights.bundle import read_model_plan
    from limner.weights.card import model_folder

    settings = None
    if run is not None:
        plan = read_model_plan(model_folder(run))
        settings = inference_options(
            plan, window=window, overlap=overlap, flips=flips, scales=scales, resize=resize
        )
    result = evaluate_model(
        run,
        predictions=predictions,
        data=data,
        split=split or None,
        out=out,
        by_position=by_position,
        boundaries=boundaries,
        thresholds=thresholds,
        maps=maps,
        settings=settings,
        value_range=value_range,
        device=device,
        precision=precision or None,
        track=tracker(),
    )
    _print_scores(result)
    _report_skipped(result)


def _report_skipped(result: "EvaluateResult") -> None:
    """Name the images that could not be scored, and end with an error if there are any."""
    from limner.cli.console import messages

    for skipped in result.skipped:
        messages().print(f"skipped {skipped.name}: {skipped.reason}", style="error")
    if result.skipped:
        raise typer.Exit(1)


def _print_scores(result: "EvaluateResult") -> None:
    """Print a table of the classes, then the scores over all of them."""
    from limner.cli.console import console, table
    from limner.core.score_names import SCORES
    from limner.evaluation.scores_file import read_scores
    from limner.evaluation.write_scores import SCORES_FILE

    file = read_scores(result.out / SCORES_FILE)
    columns = file.class_columns
    titles = [SCORES[name].label + " %" * (SCORES[name].unit == "pixels") for name in columns]
    images = f"{file.num_images} image{'s' * (file.num_images != 1)}"
    made = table("class", *titles, numbers=titles, title=f"{result.split}: {images}")
    there = [row for row in file.classes if any(row.scores.values())]
    shown = _worst(there) if file.counts_images and len(there) > MOST_ROWS else there
    for row in shown:
        made.add_row(row.name, *(_cell(file, row, name) for name in columns))
    console().print(made)
    if len(shown) < len(there):
        console().print(
            f"The {len(shown)} classes of {len(there)} with the lowest F1; all are in scores.json."
        )
    if len(there) < len(file.classes):
        absent = len(file.classes) - len(there)
        console().print(f"{absent} classes are in neither truth nor prediction; means exclude them.")
    console().print("\n".join(score_lines(file)), markup=False)
    console().print(f"Definitions of the scores, per-image scores and pictures: {result.out}")


def _worst(rows: "list[ClassRow]") -> "list[ClassRow]":
    """Return the classes of whole images with the lowest F1."""

    def f1(row: "ClassRow") -> float:
        value = row.scores.get("f1_score")
        return 2.0 if value is None else value

    return sorted(rows, key=f1)[:MOST_ROWS]


def _cell(file: "ScoresFile", row: "ClassRow", column: str) -> str:
    from limner.core.score_names import SCORES

    value, unit = row.scores.get(column), SCORES[column].unit
    if unit == "pixels":
        return f"{100 * (value or 0) / max(1, sum(r.scores.get('pixels') or 0 for r in file.classes)):.2f}"
    return f"{value or 0:,}" if unit else _score(value)


def score_lines(file: "ScoresFile") -> "Iterator[str]":
    """Yield a line for each score over all classes, the main one first, then what makes scores misleading."""
    from limner.core.score_names import SCORES, Shown, shown
    from limner.tasks import first_shown

    names = shown(file.scores, least=Shown.LISTED, first=first_shown(file.task, file.class_names))
    width = max((len(SCORES[name].words) for name in names), default=0)
    for name in names:
        yield f"{SCORES[name].words:{width}s}  {_score(file.scores[name])}{_between(file.interval(name))}"
    if file.thresholds is not None:
        found = {name: _score(value) for name, value in file.thresholds.scores.items()}
        yield (
            f"{file.thresholds.class_name} over all thresholds: average precision "
            f"{found['average_precision']}, area under ROC {found['area_under_roc']}, calibration error "
            f"{found['calibration_error']}; highest Dice {found['best_dice']} at threshold "
            f"{found['best_threshold']}"
        )
    yield from file.notes


def _between(ends: tuple[float, float] | None) -> str:
    return "" if ends is None else f"   95 % interval {_score(ends[0])} to {_score(ends[1])}"


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
