"""`limner.demo()`: the complete workflow on the example dataset."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from limner.core.progress import Track, silent
from limner.core.run_folder import RunFolder
from limner.core.watchers import Watcher
from limner.example import NUCLEI

NUM_PICTURES = 4
"""Number of validation images that the demo also predicts."""


@dataclass(frozen=True)
class Demo:
    """Result of the demo.

    Attributes:
        data: A copy of the example dataset.
        run: The trained and scored run.
        predictions: Folder of the predicted masks and overlays.
    """

    data: Path
    run: RunFolder
    predictions: Path


def demo(
    *,
    folder: str | Path = "limner-demo",
    minutes: float = 3.5,
    device: str = "auto",
    track: Track = silent,
    watchers: Sequence[Watcher] = (),
) -> Demo:
    """Train on the 60 embedded images of cell nuclei, score the model, and predict a few images.

    Args:
        folder: Folder for all files, created if needed; existing runs in it are not overwritten.
        minutes: Time budget for training.
        device: ``auto``, or a PyTorch device name.
        track: Shows the progress of preparation and evaluation.
        watchers: Observers of the run.

    Raises:
        LimnerError: A problem that the user can fix, such as an unavailable device.
    """
    from limner.api.predict import predict
    from limner.api.train import train
    from limner.formats import open_source
    from limner.preparation.run_names import next_free
    from limner.preparation.run_splits import read_splits
    from limner.storage.user_paths import user_path
    from limner.storage.whole_folders import folder_written_aside

    root = user_path(folder)
    data = root / "nuclei"
    if not data.exists():
        with folder_written_aside(data) as aside:
            shutil.copytree(NUCLEI, aside, dirs_exist_ok=True)
    run = train(
        data,
        run=next_free(root / "run"),
        minutes=minutes,
        device=device,
        track=track,
        watchers=watchers,
    )
    records = read_splits(run, open_source(data))["val"][:NUM_PICTURES]
    predictions = run.root / "predictions"
    predict(run.model, [record.image for record in records], out=predictions, device=device, track=track)
    return Demo(data, run, predictions)
