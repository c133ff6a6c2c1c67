"""`limner.report()`: the HTML report of a run."""

from pathlib import Path

from limner.core.run_folder import RunFolder


def report(run: str | Path | RunFolder) -> Path:
    """Write `report.html` into a run folder: scores, curves, examples, data and plan on one page.

    Only reads the files of the run; nothing is recomputed or downloaded.

    Args:
        run: The run, as returned by `train`, or its folder.

    Returns:
        Path of the page.

    Raises:
        DataError: The folder is not a run.
    """
    from limner.reporting import write_report

    return write_report(run if isinstance(run, RunFolder) else RunFolder(Path(run)))
