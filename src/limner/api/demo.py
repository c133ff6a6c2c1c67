"""`limner.demo()`: the whole road on the example that ships with limner."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from limner.api.evaluate import evaluate
from limner.api.predict import predict
from limner.api.train import train
from limner.core.progress import Track, silent
from limner.core.run_folder import RunFolder
from limner.evaluation.semantic import SemanticScores
from limner.example import NUCLEI

NUM_PICTURES = 4
"""Validation images that the demo also predicts as a user would predict new ones."""


@dataclass(frozen=True)
class Demo:
    """What the demo made.

    Attributes:
        data: A copy of the example, to look at and to play with.
        run: The trained run.
        scores: On the validation images.
        predictions: Folder of the predicted masks and overlays.
    """

    data: Path
    run: RunFolder
    scores: SemanticScores
    predictions: Path


def demo(
    *, folder: str | Path = "limner-demo", minutes: float = 3.0, device: str = "auto", track: Track = silent
) -> Demo:
    """Train on the 60 embedded images of cell nuclei, evaluate, and predict a few.

    Args:
        folder: Where everything goes; made if absent, and a run in it never overwrites another.
        minutes: Time budget of the training.
        device: Where to compute.
        track: Progress display.

    Raises:
        LimnerError: Something the user can mend, such as a folder that cannot be written.
    """
    folder = Path(folder)
    data = folder / "nuclei"
    if not data.exists():
        shutil.copytree(NUCLEI, data)
    run = train(data, run=_next_free(folder), minutes=minutes, device=device, track=track)
    scores = evaluate(run.root, split="val", device=device, track=track)
    names = [row.name for row in scores.per_image[:NUM_PICTURES]]
    images = [data / "images" / f"{Path(name).name}.png" for name in names]
    predictions = run.root / "predictions"
    predict(run.model, images, out=predictions, device=device, track=track)
    return Demo(data, run, scores, predictions)


def _next_free(folder: Path) -> Path:
    number = 1
    while (run := folder / f"run-{number}").exists():
        number += 1
    return run
