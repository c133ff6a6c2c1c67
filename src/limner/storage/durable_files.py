"""Files that are whole or absent: written aside, flushed to the disk, then renamed."""

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path

from limner.core.errors import TrainingError, describe


def write_durably(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a file beside `path`, and put it in place only once it is on the disk.

    Args:
        path: The file to make or replace; its folder exists. What was there stays intact until then.
        write: Called with the path to write to.

    Raises:
        TrainingError: The disk is full or refuses; `path` is as it was.
    """
    aside = path.with_name(f".{path.name}.part")
    try:
        write(aside)
        _flush(aside)
        aside.replace(path)
        flush_folder(path.parent)
    except Exception as error:
        aside.unlink(missing_ok=True)
        problem = disk_problem(error)
        if problem is None:
            raise
        raise TrainingError(
            describe(
                "Training stopped because a file could not be written",
                where=path,
                found=problem,
                expected="room on the disk and leave to write there",
                fix="Free some space or fix the folder, then go on with: limner train --resume "
                f"{path.parent.parent if path.parent.name == 'checkpoints' else path.parent}. "
                "What was saved before is intact.",
            )
        ) from error


def write_text_durably(path: Path, text: str) -> None:
    """Replace a small text file without ever leaving half of it."""
    write_durably(path, lambda aside: _write_text(aside, text))


def flush_folder(folder: Path) -> None:
    """Make renames in `folder` survive a power cut, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def disk_problem(error: BaseException) -> str | None:
    """Return what is wrong with the disk in plain words, or None where `error` is something else."""
    # safetensors reports the system's error as text of its own exception; before 0.5 as `Os { code: 28, ...`.
    text = re.sub(r"Os \{ code: (\d+)", r"os error \1", str(error))
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "os error 28" in text:
        return f"no space left on the disk ({text})"
    if isinstance(error, OSError) or "os error" in text:
        return text
    return None


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
