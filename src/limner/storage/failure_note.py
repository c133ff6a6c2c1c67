"""Recording the failure of one of several training runs, so that the others can continue."""

import traceback
from contextlib import suppress

from limner.core.errors import LimnerError, WriteError
from limner.core.run_folder import RunFolder
from limner.storage.disk_problems import write_errors_for
from limner.storage.whole_files import write_whole

PROBLEM = "problem.txt"
"""File in the run folder with the traceback of a failed training."""


def is_disk_error(error: BaseException) -> bool:
    """Tell whether a run failed for want of space on the disk or permission, rather than by itself."""
    return isinstance(error, WriteError) or isinstance(error.__cause__, WriteError)


def note_problem(run: RunFolder, error: Exception) -> str:
    """Write the traceback to the run folder, if its disk allows, and return the problem in one line."""
    with suppress(WriteError):
        write_whole(run.root / PROBLEM, "".join(traceback.format_exception(error)))
    said = str(error).strip().splitlines() or [""]
    return said[0] if isinstance(error, LimnerError) else f"{type(error).__name__}: {said[0]}"


def forget_problem(run: RunFolder) -> None:
    """Remove the note of an earlier failure, since the run has succeeded.

    Raises:
        WriteError: The folder cannot be written.
    """
    with write_errors_for(run.root / PROBLEM):
        (run.root / PROBLEM).unlink(missing_ok=True)
