"""Disk errors in plain words."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from limner.core.errors import WriteError


@contextmanager
def write_errors_for(path: Path) -> Iterator[None]:
    """Convert disk errors to a `WriteError` with the file and the problem.

    Raises:
        WriteError: The disk is full, read-only or failing.
    """
    try:
        yield
    except WriteError:  # already names its file
        raise
    except Exception as error:
        problem = disk_problem(error)
        if problem is None:
            raise
        raise WriteError(path, problem) from error


def disk_problem(error: BaseException) -> str | None:
    """Describe a disk error, or return None if `error` is something else."""
    # safetensors reports system errors in the text of its own exception; before 0.5 as `Os { code: 28, ...`.
    text = re.sub(r"Os \{ code: (\d+)", r"os error \1", str(error))
    # numpy reports what it could not write without the reason, which is a full disk or a quota.
    is_short = re.search(r"\d+ requested and \d+ written", text) is not None
    is_full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
    if is_full or is_short or "os error 28" in text:
        return f"no space left on the disk ({text})"
    if isinstance(error, OSError):
        return error.strerror or text
    return text if "os error" in text else None
