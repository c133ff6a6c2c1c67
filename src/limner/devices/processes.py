"""Which of several processes this is, where `torchrun` or `accelerate launch` started them."""

import os
import time
from pathlib import Path

from limner.core.errors import TrainingError, describe

LONGEST_WAIT = 3600.0
"""Seconds that the other processes wait for the first one to check the data and plan."""


def num_processes() -> int:
    """Return how many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first_process() -> bool:
    """Say whether this process is the one that writes."""
    return os.environ.get("RANK", "0") == "0"


def wait_for(path: Path, *, seconds: float = LONGEST_WAIT, pause: float = 0.5) -> None:
    """Wait until the first process has written a file, on a disk that all of them see.

    Raises:
        TrainingError: It does not come.
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
