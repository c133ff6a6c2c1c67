"""Rank and number of processes, if started by `torchrun` or `accelerate launch`."""

import os
import time
from pathlib import Path

from limner.core.errors import TrainingError, describe

LONGEST_WAIT = 3600.0
"""Seconds that other processes wait while the first one checks the data and makes the plan."""


def num_processes() -> int:
    """Return the number of processes that train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first_process() -> bool:
    """Return whether this is the process that writes files."""
    return os.environ.get("RANK", "0") == "0"


def wait_for(path: Path, *, seconds: float = LONGEST_WAIT, pause: float = 0.5) -> None:
    """Wait until the first process has written a file, on a shared disk.

    Raises:
        TrainingError: The file was not written in time.
    """
    end = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > end:
            raise TrainingError(
                describe(
                    "The first process did not prepare the run in time",
                    where=path,
                    found=f"nothing after {seconds:g} seconds",
                    expected="the run's folder on a disk that all processes share",
                )
            )
        time.sleep(pause)
