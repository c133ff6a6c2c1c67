"""`limner.stats()`: the training images in numbers."""

from pathlib import Path

from limner.core.progress import Track, silent
from limner.datasets.checked import check_dataset
from limner.planning.fingerprint import Fingerprint, take_fingerprint


def stats(path: Path | str, *, workers: int | None = None, track: Track = silent) -> Fingerprint:
    """Sum up the training images and their labels: sizes, intensities, classes, orientation.

    These are the numbers from which `limner.plan` decides.

    Args:
        path: The dataset folder.
        workers: Reading threads; None uses all cores.
        track: Shows the progress.

    Raises:
        DataError: The folder cannot be read, or what its mask values mean is not settled.
    """
    checked = check_dataset(Path(path), workers=workers, track=track)
    labels = checked.settled_labels("the classes cannot be counted")
    names = {split: [record.name for record in records] for split, records in checked.splits.items()}
    return take_fingerprint(checked.facts, labels, names)
