"""`limner.report()`: the HTML report of a run."""

from pathlib import Path

from limner.core.errors import LimnerError, WriteError
from limner.core.progress import Track, silent
from limner.core.run_folder import RunFolder
from limner.preparation.run_splits import unscored_splits
from limner.storage.user_paths import user_path


def report(run: str | Path | RunFolder, *, device: str = "auto", track: Track = silent) -> Path:
    """Write `report.html` into a run folder: scores, curves, examples, data and plan on one page.

    Reads the files of the run. Only scores that are missing, since their evaluation was interrupted or found
    no space, are computed first; if they cannot be, the page says so.

    Args:
        run: The run, as returned by `train`, or its folder; or a log of another program as in `compare`, or a
            folder with one: the page then has its curves, devices, model, precision and batch, and is written
            beside the log.
        device: Device for missing scores, as in `load`.
        track: Shows the progress of computing them.

    Returns:
        Path of the page.

    Raises:
        DataError: It is neither a run nor a log that can be read.
        ConfigError: Beside the log of another program there is another `report.html`.
        WriteError: The page or the missing scores cannot be written.
    """
    from limner.reporting import write_report

    folder = run if isinstance(run, RunFolder) else RunFolder(user_path(run))
    _score_missing(folder, device, track)
    return write_report(folder)


def _score_missing(run: RunFolder, device: str, track: Track) -> None:
    """Score the splits of a trained run that have no scores, if the data and the model still exist."""
    try:
        for split in unscored_splits(run):
            from limner.api.evaluate import evaluate

            evaluate(run.root, split=split, device=device, track=track)
    except WriteError:
        raise
    except LimnerError:
        return  # the page names the splits without scores
