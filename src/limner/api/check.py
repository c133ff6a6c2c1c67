"""`limner.check()`: what is in a folder of labelled images, and what is wrong with it."""

from pathlib import Path

from limner.core.progress import Track, silent
from limner.datasets.checked import CheckResult, check_dataset


def check(
    path: str | Path, *, accept: bool = False, workers: int | None = None, track: Track = silent
) -> CheckResult:
    """Find the format and the pairs, read every file once, and say what is there and what is wrong.

    Args:
        path: The dataset folder.
        accept: Write what is proposed into `dataset.yaml` beside the data, then check again. Images and
            masks are never touched.
        workers: Reading threads; None uses all cores.
        track: Shows the progress.

    Returns:
        The dataset, its label table and the findings.

    Raises:
        DataError: There is no such folder, or no layout that limner knows.
        ConfigError: `dataset.yaml` cannot be used.
    """
    return check_dataset(Path(path), accept=accept, workers=workers, track=track)
