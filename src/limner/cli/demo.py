"""`limner demo`: the whole road on the example that ships with limner."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    folder: Annotated[Path, typer.Option(help="Where everything goes.")] = Path("limner-demo"),
    minutes: Annotated[float, typer.Option(min=0.05, help="Time budget of the training.")] = 3.5,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps, xpu, ...")] = "auto",
) -> None:
    """Train on real images of cell nuclei, and predict a few.

    The 60 images come with limner; the model is scored, and a report written.
    """
    from limner.api.demo import demo as run_demo
    from limner.cli.console import console, tracker
    from limner.cli.run_page import show_run
    from limner.tracking.progress_display import ProgressDisplay

    made = run_demo(
        folder=folder, minutes=minutes, device=device, track=tracker(), watchers=[ProgressDisplay()]
    )
    show_run(made.run)
    console().print(f"The data, to look at and to play with: {made.data}")
    console().print(f"Predicted masks and overlays:          {made.predictions}")
    console().print(f"The same on your own images:           limner train MY_FOLDER --minutes {minutes:g}")
