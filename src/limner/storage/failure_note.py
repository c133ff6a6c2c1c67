"""What one of several trainings died of, kept beside its run: one's trouble must not cost the others."""

import traceback

from limner.core.errors import LimnerError
from limner.core.run_folder import RunFolder
from limner.storage.whole_files import write_whole

PROBLEM = "problem.txt"
"""The traceback of a training that failed, in its run's folder."""


def note_problem(run: RunFolder, error: Exception) -> str:
    """Keep the traceback beside the run, and return one line about it."""
    write_whole(run.root / PROBLEM, "".join(traceback.format_exception(error)))
    said = str(error).strip().splitlines() or [""]
    return said[0] if isinstance(error, LimnerError) else f"{type(error).__name__}: {said[0]}"
