"""`limner.report`: a run as one page."""

from pathlib import Path

from limner.core.run_folder import RunFolder


def report(run: str | Path | RunFolder) -> Path:
    """Write `report.html` into a run folder: scores, curves, examples, data and plan on one page.

    Only files of the run are read; nothing is computed anew and nothing is fetched.

    Args:
        run: The run, as `train` returned it, or its folder.

    Returns:
        The page.

    Raises:
        DataError: The folder is not a run.
    """
    from limner.reporting import write_report

    return write_report(run if isinstance(run, RunFolder) else RunFolder(Path(run)))
