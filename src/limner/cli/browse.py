"""`limner browse`: pictures of the images with their labels."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class By(str, Enum):
    """How to select the images."""

    RANDOM = "random"
    CLASS = "class"
    SPLIT = "split"
    WORST = "worst"


class Mode(str, Enum):
    """What to show of each augmented image."""

    STEPS = "steps"
    SIDE_BY_SIDE = "side-by-side"
    FINAL = "final"
    ORIGINAL = "original"


def browse(
    data: Annotated[
        Path, typer.Argument(help="The dataset folder; with --augment also a recipe or plan.yaml.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The PNG to write; default: NAME-browse.png in the working folder."),
    ] = None,
    by: Annotated[
        By, typer.Option(help="Images: random, a row for each class or split, or the worst.")
    ] = By.RANDOM,
    images: Annotated[
        int | None, typer.Option(min=1, help="Number of images, or of images in each row.")
    ] = None,
    class_name: Annotated[
        list[str] | None, typer.Option("--class", help="Only images with this class; may be repeated.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Only images of this split.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Random seed; default: 0, with --augment that of the plan.")
    ] = None,
    palette: Annotated[
        str, typer.Option(help="own, distinct, voc, cityscapes, ade20k, or a file of names and colours.")
    ] = "own",
    side: Annotated[int, typer.Option(min=32, help="Longer side of each picture, in pixels.")] = 300,
    columns: Annotated[int, typer.Option(min=1, help="Number of columns.")] = 4,
    show: Annotated[
        bool, typer.Option("--show", help="Open the picture in a window if there is a display.")
    ] = False,
    augment: Annotated[
        bool, typer.Option("--augment", help="Show training images with each step of augmentation.")
    ] = False,
    mode: Annotated[Mode, typer.Option(help="With --augment: what to show of each image.")] = Mode.STEPS,
    first: Annotated[int, typer.Option(min=0, help="With --augment: number of the first image.")] = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="With --augment: KEY=VALUE of the plan; may be repeated."),
    ] = None,
) -> None:
    """Draw images with their labels on one sheet, as a PNG."""
    from limner.cli.console import console, tracker

    target = out or Path(f"{data.resolve().stem}-browse.png")
    if augment:
        from limner.api.browse_augmented import browse_augmented
        from limner.core.config import merge_assignments

        done = browse_augmented(
            data,
            mode=mode.value,
            out=target,
            images=images or 4,
            first=first,
            seed=seed,
            palette=palette,
            side=side,
            columns=columns,
            settings=merge_assignments(settings or []),
            track=tracker(),
        )
    else:
        from limner.api.browse import browse as draw

        done = draw(
            data,
            out=target,
            by=by.value,
            images=images or (4 if by in (By.CLASS, By.SPLIT) else 12),
            classes=class_name or [],
            split=split,
            seed=seed or 0,
            palette=palette,
            side=side,
            columns=columns,
            track=tracker(),
        )
    console().print(f"{len(done.images)} images, {done.picture.shape[1]} x {done.picture.shape[0]} pixels")
    console().print(f"Written: {done.path}", style="good")
    if show:
        _show(target)


def _show(picture: Path) -> None:
    """Open the picture in the default viewer of the system."""
    from limner.cli.console import console
    from limner.devices.host import has_screen

    if not has_screen():
        console().print(
            "There is no display to open a window on; the picture is in the file.", style="warning"
        )
    elif typer.launch(str(picture)) != 0:
        console().print("This system has no default program for PNG files.", style="warning")
