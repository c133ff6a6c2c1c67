"""`limner demo`: the complete workflow on the example dataset."""

from pathlib import Path
from typing import Annotated

import typer

from limner.cli.shared_options import Device


def demo(
    folder: Annotated[Path, typer.Option(help="Folder for all files.")] = Path("limner-demo"),
    minutes: Annotated[float, typer.Option(min=0.05, help="Time budget for training.")] = 3.5,
    device: Device = "auto",
) -> None:
    """Train on real images of cell nuclei, and predict a few.

    The 60 images are included in limner. The model is scored, and a report is written.
    """
    from limner.api.demo import demo as run_demo
    from limner.cli.console import console, tracker
    from limner.cli.run_page import show_run
    from limner.tracking.progress_display import ProgressDisplay

    made = run_demo(
        folder=folder, minutes=minutes, device=device, track=tracker(), watchers=[ProgressDisplay()]
    )
    show_run(made.run)
    console().print(f"The dataset:                           {made.data}")
    console().print(f"Predicted masks and overlays:          {made.predictions}")
    console().print(f"Next, train on your own images:        limner train MY_FOLDER --minutes {minutes:g}")
