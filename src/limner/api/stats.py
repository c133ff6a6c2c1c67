"""`limner.stats()`: the training images in numbers."""

from pathlib import Path

from limner.api.check import check
from limner.core.errors import DataError, describe
from limner.core.progress import Track, silent
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
    checked = check(path, workers=workers, track=track)
    if checked.labels is None:
        raise DataError(
            describe(
                "What the mask values mean is not settled, so the classes cannot be counted",
                where=path,
                found=checked.errors[0].found if checked.errors else "no mask",
                mend=f"Run `limner check {path}`, which says how to settle it.",
            )
        )
    names = {split: [record.name for record in records] for split, records in checked.splits.items()}
    return take_fingerprint(checked.facts, checked.labels, names)
