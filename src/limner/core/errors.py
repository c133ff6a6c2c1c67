"""Errors that limner raises for its users, and the common format of their messages."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import ClassVar

from limner.core.printable import printable_line


class LimnerError(Exception):
    """Base class of errors that the user can fix; the message is enough without a traceback.

    Attributes:
        exit_code: Of the command line: 2 if the command stopped, 1 if only a part is missing.
    """

    exit_code: ClassVar[int] = 2


class DataError(LimnerError, ValueError):
    """A folder, image or label file is invalid."""


class ConfigError(LimnerError, ValueError):
    """A setting is unknown, of the wrong type, out of range, or contradicts another."""


class UnknownNameError(ConfigError):
    """A name of a network, task, format, loss, ... does not exist."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        """Compose the message; `known` are the valid names."""
        choices = sorted(known)
        super().__init__(
            f"There is no {kind} named {name!r}{did_you_mean(name, choices)}. Known: {', '.join(choices)}."
        )


class ModelError(LimnerError, ValueError):
    """A model folder or a checkpoint is damaged, unsafe, or of another architecture."""


class TrainingError(LimnerError, RuntimeError):
    """Training cannot continue: the loss is not finite, or memory or disk space ran out."""


class WriteError(LimnerError, OSError):
    """A file could not be written: the disk is full, read-only or failing. The old file is intact.

    Attributes:
        path: The file.
        problem: What is wrong, in a few words.
    """

    exit_code = 1

    def __init__(self, path: Path, problem: str) -> None:
        """Compose the message about `path`."""
        super().__init__(
            describe(
                "The file cannot be written",
                where=path,
                found=problem,
                expected="free space on the disk, and permission to write there",
                fix="Free some space, or choose a folder that you may write to.",
            )
        )
        self.path = path
        self.problem = self.strerror = problem


class MissingPartsOfRunError(WriteError):
    """A run is trained, but evaluations or the report could not be written."""

    def __init__(self, run: Path, missing: Mapping[str, WriteError], fix: str) -> None:
        """Compose the message about the parts of `run` that are missing."""
        super().__init__(run, "; ".join(f"{part}: {error.problem}" for part, error in missing.items()))
        self.args = (
            describe(
                "The model is trained and saved, but parts of the run could not be written",
                where=run,
                found="; ".join(f"{part} is missing ({e.problem}: {e.path})" for part, e in missing.items()),
                expected="free space on the disk, and permission to write there",
                fix=fix,
            ),
        )


class StoppedBySignal(KeyboardInterrupt):  # noqa: N818 - like its base, it is no error
    """Training was stopped by a signal, after saving.

    Attributes:
        number: Number of the signal, such as 15 for SIGTERM.
    """

    def __init__(self, number: int) -> None:
        """Note the signal."""
        super().__init__(number)
        self.number = number


class MissingPartError(LimnerError, ImportError):
    """A required optional library is not installed."""

    def __init__(self, library: str, purpose: str, install: str) -> None:
        """Compose the message: the `library`, its `purpose`, and the `install` command."""
        super().__init__(f"{purpose} needs {library}, which is not installed. Install it with: {install}")


class Description(str):
    """Message of an error that also has its parts, for programs that show them separately.

    Attributes:
        what: The problem, without a full stop.
        where: The file concerned; empty if none is.
        found: What was found.
        expected: What was expected.
        fix: What the user can do.
    """

    what: str
    where: str
    found: str
    expected: str
    fix: str


def describe(
    what: str, *, where: Path | str | None = None, found: str = "", expected: str = "", fix: str = ""
) -> Description:
    """Compose an error message: the problem, the place, found against expected, and the fix.

    Args:
        what: The problem, one sentence without a full stop, such as ``The mask cannot be read``.
        where: The file (or file and row) concerned.
        found: What was found.
        expected: What was expected.
        fix: What the user can do, as a full sentence.
    """
    place = "" if where is None else printable_line(where)
    lines = [f"{what}." if where is None else f"{what}: {place}"]
    lines += [f"  found:    {found}"] if found else []
    lines += [f"  expected: {expected}"] if expected else []
    lines += [f"  fix:      {fix}"] if fix else []
    described = Description("\n".join(lines))
    described.what, described.where = what, place
    described.found, described.expected, described.fix = found, expected, fix
    return described


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the nearest known name, or an empty string."""
    near = nearest(name, known)
    return "" if near is None else f" (did you mean {near!r}?)"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most similar to `name`, or None if none is similar enough."""
    return next(iter(get_close_matches(name, list(known), n=1, cutoff=0.55)), None)
