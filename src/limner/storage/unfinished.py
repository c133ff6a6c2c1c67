"""The file that says in an output folder what is being written there, until all of it is.

``limner-unfinished.jsonl`` is visible, so that people and commands do not take the folder for a finished one.
Its first line is the request; then every written file and every finished item is a line. A killed command
leaves it, and the same request can continue from it.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limner.core.errors import DataError, describe
from limner.storage.disk_problems import write_errors_for
from limner.storage.whole_files import remove_leftovers, write_whole

UNFINISHED = "limner-unfinished.jsonl"
"""Name of the file."""

WRITTEN_WHOLE = ("convert", "predict")
"""Commands whose folders are read as a whole, so that a part of one would be misleading."""


SHARED = {"work": "shared by processes"}
"""Part of the request of work that processes share; their ledger knows what is done."""


@dataclass(frozen=True)
class Unfinished:
    """Content of the file.

    Attributes:
        command: The command that writes the folder.
        asked: Its request, in words; it must be equal to continue.
        lines: Place of each further line in the file -> its values; a last line that was cut short is left
            out.
        end: Place where the next line belongs.
    """

    command: str
    asked: Mapping[str, str]
    lines: Mapping[int, Mapping[str, Any]]
    end: int

    @property
    def progress(self) -> str:
        """What is done, in words."""
        is_shared = SHARED.items() <= self.asked.items()
        return "work that processes share" if is_shared else f"{self.num_items} images done"

    @property
    def num_items(self) -> int:
        """Number of finished items."""
        return sum("item" in line for line in self.lines.values())


def read_unfinished(folder: Path) -> Unfinished | None:
    """Return what is unfinished in a folder, or None.

    Raises:
        DataError: The file is damaged.
    """
    path = folder / UNFINISHED
    if not path.is_file():
        return None
    try:
        content = path.read_bytes()
        first, *others = content[: content.rfind(b"\n") + 1].splitlines(keepends=True)
        head = json.loads(first)
        asked = {str(key): str(value) for key, value in head["asked"].items()}
        lines: dict[int, Mapping[str, Any]] = {}
        end = len(first)
        for line in others:
            lines[end] = dict(json.loads(line))
            end += len(line)
        return Unfinished(str(head["command"]), asked, lines, end)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            describe(
                "The record of an interrupted command cannot be read",
                where=path,
                found=f"{type(error).__name__}: {error}",
                fix="Delete the folder, and start the command again.",
            )
        ) from None


def is_unfinished(folder: Path) -> bool:
    """Tell whether a command has begun to fill a folder and has not finished."""
    return (folder / UNFINISHED).is_file()


def begin_record(folder: Path, command: str, asked: Mapping[str, str]) -> None:
    """Write the first line of the file.

    Raises:
        WriteError: The folder cannot be written.
    """
    write_whole(folder / UNFINISHED, record_text(command, asked))


def record_text(command: str, asked: Mapping[str, str]) -> str:
    """Return the first line of the file."""
    return json.dumps({"command": command, "asked": asked}) + "\n"


@contextmanager
def marked_unfinished(folder: Path, command: str) -> Iterator[None]:
    """Mark a folder, all of whose files are limner's, while a command fills it; after a kill the mark stays.

    Args:
        folder: The folder, which is locked.
        command: The command.

    Raises:
        WriteError: The folder cannot be written.
    """
    remove_leftovers(folder)
    begin_record(folder, command, {})
    yield
    remove_record(folder)


def remove_record(folder: Path) -> None:
    """Remove the file, since all is there.

    Raises:
        WriteError: The folder cannot be written.
    """
    with write_errors_for(folder / UNFINISHED):
        (folder / UNFINISHED).unlink(missing_ok=True)


def refuse_unfinished(folder: Path) -> None:
    """Refuse to read images or labels from a folder that an interrupted command has not finished.

    Raises:
        DataError: A command of `WRITTEN_WHOLE` was interrupted there, or still runs.
    """
    found = read_unfinished(folder)
    if found is not None and found.command in WRITTEN_WHOLE:
        raise unfinished(folder, found.command, f", with {found.progress}")


def unfinished(where: Path | str, command: str, progress: str = "") -> DataError:
    """Return the error of a folder, or of an address, that a command has not finished."""
    return DataError(
        describe(
            f"The folder is not finished: `limner {command}` was interrupted or still runs",
            where=where,
            found=f"{UNFINISHED}{progress}",
            expected="a folder that is complete",
            fix=f"Run the same `limner {command}` again with --resume, or delete the folder.",
        )
    )
