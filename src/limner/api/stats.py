"""`limner.stats()`: statistics of the training images."""

from pathlib import Path

from limner.core.progress import Track, silent
from limner.datasets.checked import check_dataset
from limner.planning.fingerprint import Fingerprint, take_fingerprint


def stats(path: Path | str, *, workers: int | None = None, track: Track = silent) -> Fingerprint:
    """Summarise the training images and their labels: sizes, intensities, classes, orientation.

    `limner.plan` bases its decisions on these numbers.

    Args:
        path: The dataset folder.
        workers: Number of reading threads; None uses all cores.
        track: Shows progress.

    Raises:
        DataError: The folder cannot be read, or the meaning of its mask values is unknown.
    """
    checked = check_dataset(Path(path), workers=workers, track=track)
    labels = checked.settled_labels("the classes cannot be counted")
    names = {split: [record.name for record in records] for split, records in checked.splits.items()}
    return take_fingerprint(checked.facts, labels, names)
