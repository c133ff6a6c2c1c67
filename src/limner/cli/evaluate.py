"""`limner evaluate RUN`, and `limner evaluate --predictions DIR --data DATA`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limner.cli.inference_options import InferenceOptions
from limner.cli.option_groups import with_option_groups

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
Distances = Annotated[
    bool,
    typer.Option(
        "--distances", help="Also measure surface distances where the spacing is unknown, in pixels."
    ),
]
Tolerance = Annotated[
    float | None,
    typer.Option(
        min=0, help="Tolerance of the surface Dice in mm; default: the largest spacing of each case."
    ),
]


@with_option_groups
def evaluate(
    run: Annotated[Path | None, typer.Argument(help="A run folder, or a model folder with --data.")] = None,
    *,
    predictions: Predictions = None,
    split: Annotated[
        str, typer.Option(help="val, test or train; default: val, or all images of --data.")
    ] = "",
    data: Annotated[
        Path | None, typer.Option(help="Labelled images other than those of the training.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the results.")] = None,
    by_position: ByPosition = False,
    boundaries: Boundaries = False,
    thresholds: Thresholds = False,
    maps: Maps = False,
    distances: Distances = False,
    tolerance: Tolerance = None,
    inference: InferenceOptions,
) -> None:
    """Score a model, or predictions of any program.

    Writes scores, per-image scores, and pictures of the worst and best images.
    """
    from limner.api.evaluate import evaluate as evaluate_model
    from limner.cli.console import tracker

    if predictions is not None:
        inference.refuse_without_model()
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
        distances=distances,
        tolerance=tolerance,
        settings=inference.settings if predictions is None else None,
        value_range=inference.value_range,
        device=inference.device,
        precision=inference.precision or None,
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
    from limner.evaluation.scores_file import read_scores, worst_first
    from limner.evaluation.write_scores import SCORES_FILE

    file = read_scores(result.out / SCORES_FILE)
    columns = file.class_columns
    titles = [_title(file, name) for name in columns]
    images = f"{file.num_images} image{'s' * (file.num_images != 1)}"
    made = table("class", *titles, numbers=titles, title=f"{result.split}: {images}")
    there = file.present_classes
    shown = worst_first(there)[:MOST_ROWS] if file.counts_images and len(there) > MOST_ROWS else there
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


def _cell(file: "ScoresFile", row: "ClassRow", column: str) -> str:
    from limner.core.score_names import LENGTH, SCORES, VOLUME

    value, unit = row.scores.get(column), SCORES[column].unit
    if unit == "pixels":
        return f"{100 * (value or 0) / max(1, sum(r.scores.get('pixels') or 0 for r in file.classes)):.2f}"
    if unit in (LENGTH, VOLUME):
        return _number(file, column, value)
    return f"{value:,}" if unit and value is not None else _score(value)


def _title(file: "ScoresFile", column: str) -> str:
    """Return the heading of a column with its unit."""
    from limner.core.score_names import LENGTH, SCORES, VOLUME

    label, unit = file.score(column).label, SCORES[column].unit
    if unit in (LENGTH, VOLUME):
        return f"{label} {file.unit(column)}"
    return label + " %" * (unit == "pixels")


def _number(file: "ScoresFile", name: str, value: float | None) -> str:
    """Return a distance or size with four significant digits, another score with four decimals."""
    return f"{value:.4g}" if file.unit(name) and value is not None else _score(value)


def score_lines(file: "ScoresFile") -> "Iterator[str]":
    """Yield a line for each score over all classes, the main one first, then what makes scores misleading."""
    from limner.core.score_names import Shown, shown
    from limner.tasks import first_shown

    names = shown(file.scores, least=Shown.LISTED, first=first_shown(file.task, file.class_names))
    width = max((len(file.score(name).words) for name in names), default=0)
    for name in names:
        value = file.scores[name]
        unit = f" {file.unit(name)}" if file.unit(name) and value is not None else ""
        between = _between(file, name)
        yield f"{file.score(name).words:{width}s}  {_number(file, name, value)}{unit}{between}"
    if file.thresholds is not None:
        found = {name: _score(value) for name, value in file.thresholds.scores.items()}
        yield (
            f"{file.thresholds.class_name} over all thresholds: average precision "
            f"{found['average_precision']}, area under ROC {found['area_under_roc']}, calibration error "
            f"{found['calibration_error']}; highest Dice {found['best_dice']} at threshold "
            f"{found['best_threshold']}"
        )
    yield from file.notes


def _between(file: "ScoresFile", name: str) -> str:
    low_and_high = file.interval(name)
    if low_and_high is None:
        return ""
    low, high = (_number(file, name, end) for end in low_and_high)
    return f"   95 % interval {low} to {high}"


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
