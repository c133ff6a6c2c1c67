"""`limner split`: division of a dataset into splits."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from limner.api.split import SplitResult


def split(
    data: Annotated[Path, typer.Argument(help="The folder of labelled images.")],
    val: Annotated[float, typer.Option(help="Share of the images for validation.")] = 0.2,
    test: Annotated[float, typer.Option(help="Share of the images for testing.")] = 0.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same division.")] = 0,
    group: Annotated[
        str | None,
        typer.Option(
            help=r"Regular expression for images to keep together, such as of a patient: '^(\w+?)_'."
        ),
    ] = None,
    stratify: Annotated[bool, typer.Option("--stratify", help="Spread the classes evenly.")] = False,
    folds: Annotated[int, typer.Option(help="Number of folds for cross-validation.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Another folder for the lists; dataset.yaml is not changed.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace existing splits; the old lists are kept beside.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the result.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Divide the images into train, val and test.

    Writes the lists, and refers to them in dataset.yaml.
    """
    from limner.api.split import split as divide
    from limner.cli.console import tracker

    result = divide(
        data,
        val=val,
        test=test,
        seed=seed,
        group=group,
        stratify=stratify,
        folds=folds,
        out=out,
        overwrite=overwrite,
        write=not dry_run,
        track=tracker(),
    )
    if as_json:
        print(
            json.dumps({"folds": result.folds, "groups": result.groups, "classes": result.classes}, indent=2)
        )
        return
    _show(result, grouped=group is not None)


def _show(result: "SplitResult", *, grouped: bool) -> None:
    from limner.cli.console import console, table

    first = result.folds[0]
    numbers = ("images", "share", *(f"fold {i + 1}" for i in range(len(result.folds))))
    total = sum(len(files) for files in first.values())
    if len(result.folds) > 1:
        shown = table("split", *numbers[2:], numbers=numbers, title="Images in each fold")
        for name in first:
            shown.add_row(name, *(str(len(fold[name])) for fold in result.folds))
    else:
        shown = table("split", *numbers[:2], numbers=numbers, title="Splits")
        for name, files in first.items():
            shown.add_row(name, str(len(files)), f"{100 * len(files) / total:.1f} %")
    console().print(shown)
    if grouped:
        console().print(f"{result.groups} groups, none of them divided.")
    if result.classes:
        names = list(first)
        classes = table("class", *names, numbers=names, title="Images with each class")
        for label in result.classes[names[0]]:
            classes.add_row(label, *(str(result.classes[name][label]) for name in names))
        console().print(classes)
    if result.aside is not None:
        console().print(f"The old splits are in {result.aside}", style="warning")
    for path in result.written:
        console().print(f"Written: {path}", style="good")
    if len(result.folds) > 1 and result.written:
        console().print("dataset.yaml refers to fold 1; for another, change `splits` in it.", style="muted")
