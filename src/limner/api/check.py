"""`limner.check()`: contents and problems of a dataset."""

from pathlib import Path

from limner.core.progress import Track, silent
from limner.datasets.checked import CheckResult, check_dataset


def check(
    path: str | Path, *, accept: bool = False, workers: int | None = None, track: Track = silent
) -> CheckResult:
    """Detect the format, read every file once, and report contents and problems.

    Args:
        path: The dataset folder.
        accept: Write the proposals to `dataset.yaml` in the dataset folder, then check again. Images and
            masks are never changed.
        workers: Number of reading threads; None uses all cores.
        track: Shows progress.

    Returns:
        The dataset, its label table and the findings.

    Raises:
        DataError: The folder does not exist or has no known format.
        ConfigError: `dataset.yaml` is invalid.
    """
    return check_dataset(Path(path), accept=accept, workers=workers, track=track)
