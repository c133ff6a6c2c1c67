"""What is wrong with a disk, in plain words."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from limner.core.errors import WriteError


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn any error of the disk into one that names the file and says what is wrong.

    Raises:
        WriteError: The disk is full, read-only, or fails.
    """
    try:
        yield
    except WriteError:  # of another file, which it names
        raise
    except Exception as error:
        problem = disk_problem(error)
        if problem is None:
            raise
        raise WriteError(path, problem) from error


def disk_problem(error: BaseException) -> str | None:
    """Return what is wrong with the disk, or None where `error` is something else."""
    # safetensors reports the system's error as text of its own exception; before 0.5 as `Os { code: 28, ...`.
    text = re.sub(r"Os \{ code: (\d+)", r"os error \1", str(error))
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "os error 28" in text:
        return f"no space left on the disk ({text})"
    if isinstance(error, OSError):
        return error.strerror or text
    return text if "os error" in text else None
