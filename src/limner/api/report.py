"""`limner.report()`: the HTML report of a run."""

from pathlib import Path

from limner.core.run_folder import RunFolder


def report(run: str | Path | RunFolder) -> Path:
    """Write `report.html` into a run folder: scores, curves, examples, data and plan on one page.

    Only reads the files of the run; nothing is recomputed or downloaded.

    Args:
        run: The run, as returned by `train`, or its folder; or a log of another program as in `compare`, or a
            folder with one: the page then has its curves, devices, model, precision and batch, and is written
            beside the log.

    Returns:
        Path of the page.

    Raises:
        DataError: It is neither a run nor a log that can be read.
        ConfigError: Beside the log of another program there is another `report.html`.
    """
    from limner.reporting import write_report

    return write_report(run if isinstance(run, RunFolder) else RunFolder(Path(run).expanduser()))
