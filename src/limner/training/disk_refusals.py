"""Handling of disk errors during training: it stops, and can be resumed."""

from collections.abc import Iterator
from contextlib import contextmanager

from limner.core.errors import TrainingError, WriteError, describe
from limner.core.run_folder import RunFolder


@contextmanager
def stopping_training(run: RunFolder) -> Iterator[None]:
    """Convert a `WriteError` to a `TrainingError` whose message explains how to resume.

    Raises:
        TrainingError: The disk is full, read-only, or fails; what was saved before is intact.
    """
    try:
        yield
    except WriteError as error:
        raise TrainingError(
            describe(
                "Training stopped because a file could not be written",
                where=error.path,
                found=error.problem,
                expected="free space on the disk, and permission to write there",
                fix="Free some space or fix the folder, then resume with: limner train --resume "
                f"{run.root}. What was saved before is intact.",
            )
        ) from error
