"""`limner browse`: pictures of the images with their labels."""

from enum import Enum
from functools import partial
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


Data = Annotated[Path, typer.Argument(help="The dataset folder; with --augment also a recipe or plan.yaml.")]
Out = Annotated[
    Path | None, typer.Option(help="The PNG to write; default: NAME-browse.png in the working folder.")
]
Selection = Annotated[By, typer.Option(help="Images: random, a row for each class or split, or the worst.")]
Images = Annotated[int | None, typer.Option(min=1, help="Number of images, or of images in each row.")]
ClassNames = Annotated[
    list[str] | None, typer.Option("--class", help="Only images with this class; may be repeated.")
]
Seed = Annotated[int | None, typer.Option(help="Random seed; default: 0, with --augment that of the plan.")]
Palette = Annotated[
    str, typer.Option(help="own, distinct, voc, cityscapes, ade20k, or a file of names and colours.")
]
Show = Annotated[bool, typer.Option("--show", help="Open the picture in a window if there is a display.")]
Augment = Annotated[
    bool, typer.Option("--augment", help="Show training images with each step of augmentation.")
]
First = Annotated[int, typer.Option(min=0, help="With --augment: number of the first image.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="With --augment: KEY=VALUE of the plan; may be repeated."),
]


def browse(
    data: Data,
    out: Out = None,
    by: Selection = By.RANDOM,
    images: Images = None,
    class_name: ClassNames = None,
    split: Annotated[str | None, typer.Option(help="Only images of this split.")] = None,
    seed: Seed = None,
    palette: Palette = "own",
    side: Annotated[int, typer.Option(min=32, help="Longer side of each picture, in pixels.")] = 300,
    columns: Annotated[int, typer.Option(min=1, help="Number of columns.")] = 4,
    show: Show = False,
    augment: Augment = False,
    mode: Annotated[Mode, typer.Option(help="With --augment: what to show of each image.")] = Mode.STEPS,
    first: First = 0,
    settings: Settings = None,
) -> None:
    """Draw images with their labels on one sheet, as a PNG."""
    from limner.api.browse import browse as draw
    from limner.api.browse_augmented import browse_augmented
    from limner.cli.console import console, tracker
    from limner.core.config import merge_assignments

    _refuse_unused(
        {"--by": by is not By.RANDOM, "--class": bool(class_name), "--split": split is not None},
        {"--mode": mode is not Mode.STEPS, "--first": first != 0, "--set": bool(settings)},
        augment=augment,
    )
    target = out or Path(f"{data.resolve().stem}-browse.png")
    draw_here = partial(
        browse_augmented if augment else draw,
        data, out=target, palette=palette, side=side, columns=columns, track=tracker(),
    )  # fmt: skip
    if augment:
        values = merge_assignments(settings or [])
        done = draw_here(mode=mode.value, images=images or 4, first=first, seed=seed, settings=values)
    else:
        images = images or (4 if by in (By.CLASS, By.SPLIT) else 12)
        done = draw_here(by=by.value, images=images, classes=class_name or [], split=split, seed=seed or 0)
    console().print(f"{len(done.images)} images, {done.picture.shape[1]} x {done.picture.shape[0]} pixels")
    console().print(f"Written: {done.path}", style="good")
    if show:
        _show(target)


def _refuse_unused(of_any: dict[str, bool], of_augmented: dict[str, bool], *, augment: bool) -> None:
    """Refuse options that choose among all images with `--augment`, and those of augmented images without."""
    from limner.core.errors import ConfigError
    from limner.core.wording import given_options

    named = given_options(of_any if augment else of_augmented)
    if named:
        when = "with --augment, which shows the first training images" if augment else "without --augment"
        raise ConfigError(f"{named} has no effect {when}. Omit it.")


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
