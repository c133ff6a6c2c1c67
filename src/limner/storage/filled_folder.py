"""An output folder that a command fills: nothing of others is replaced, and what is missing is known.

While the command works, the folder has a lock, and a record of the files (`UNFINISHED`), which stays after a
kill. At the end, a list of the files (`OWN_FILES`) replaces the record. A file is the command's own if one of
the two has it with its size and time of change; only such files are replaced.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limner.core.errors import ConfigError, WriteError, describe
from limner.storage.disk_problems import write_errors_for
from limner.storage.file_states import State, file_state
from limner.storage.folder_lock import LOCK, locked_folder
from limner.storage.json_files import write_json
from limner.storage.output_folder import make_output_folder, refuse_dataset
from limner.storage.unfinished import UNFINISHED, Unfinished, begin_record, read_unfinished
from limner.storage.user_paths import user_path
from limner.storage.whole_files import guard_writes, is_leftover, remove_leftovers

OWN_FILES = ".limner-files.json"
"""Name of the list: command -> file -> its state."""


@dataclass(frozen=True)
class Request:
    """Request of a command that can be resumed.

    Attributes:
        asked: What must be equal to continue, in words.
        resume: Whether to continue an interrupted command, if there is one.
    """

    asked: Mapping[str, str]
    resume: bool = False


def own_files(folder: Path, *, by: str) -> tuple[str, ...]:
    """Return the names of the files that a command wrote to a folder, unchanged since, and of their list."""
    listed = _read_lists(folder).get(by, {})
    return (OWN_FILES, *(name for name, states in listed.items() if _own_state(folder / name) in states))


@contextmanager
def filled_folder(
    folder: Path | str,
    *,
    by: str,
    files: Iterable[Path] = (),
    request: Request | None = None,
    is_shared: bool = True,
) -> Iterator["FilledFolder"]:
    """Fill a folder with the files of a command.

    Args:
        folder: The folder, which is created if needed.
        by: The command, such as ``predict``; it replaces only what the same command wrote.
        files: Files that will be written there; if the place of one is taken, it is refused at once.
        request: The request of a command that can be resumed. If it was interrupted, it is never started
            over, since files of another request would stay.
        is_shared: Whether the folder can have files of others, so that a list of the own ones is kept.

    Raises:
        ConfigError: An interrupted command has to be resumed, or differs from this one; another process
            writes to the folder; or a file of someone else would be replaced.
        DataError: The folder cannot be created, is a dataset, or its record is damaged.
        WriteError: The folder cannot be written.
    """
    folder = user_path(folder)
    if is_shared:
        refuse_dataset(folder)
    make_output_folder(folder)
    with locked_folder(folder, what=f"limner {by}"):
        if not is_shared:
            remove_leftovers(folder)
        filled = FilledFolder(folder, by)
        filled.begin(request)
        try:
            for path in files:
                filled.before(path)
            with guard_writes(filled):
                yield filled
        except BaseException:
            filled.interrupt()
            raise
        filled.finish(keep_list=is_shared)


class FilledFolder:
    """Record of what a command has written to its folder, and guard of the files of others.

    Args:
        folder: The folder, which exists.
        by: As in `filled_folder`.
    """

    def __init__(self, folder: Path, by: str) -> None:
        self.root = _absolute(folder)
        self._by = by
        self._own = _read_lists(self.root)
        self._items: dict[str, int] = {}  # finished item -> place of its line in the record
        self._record = self.root / UNFINISHED

    def begin(self, request: Request | None) -> None:
        """Begin the record, or continue that of an interrupted command."""
        begun = read_unfinished(self.root)
        asked = {} if request is None else dict(request.asked)
        if begun is not None:
            _refuse_unless_resumed(self.root, begun, self._by, request)
            self._take_over(begun)
        if begun is None or not begun.asked:
            if begun is not None:  # its record is about to be replaced
                write_json(self.root / OWN_FILES, self._own)
            begin_record(self.root, self._by, asked)
        self._has_written = begun is not None
        with write_errors_for(self._record):
            self._file = self._record.open("r+b")
            if begun is not None and begun.asked:
                self._file.truncate(begun.end)
            self._file.seek(0, os.SEEK_END)

    def has(self, item: str) -> bool:
        """Tell whether an item is finished."""
        return item in self._items

    def add(self, item: str, entry: object = None) -> None:
        """Note that an item is finished, with all files since the one before.

        Args:
            item: Its unique name.
            entry: JSON-ready value for `entries`.
        """
        self._items[item] = self._file.tell()
        self._write_line({"item": item, "entry": entry})

    def entries(self, items: Iterable[str]) -> "Entries":
        """Return the entries of those items that are finished and have one."""
        return Entries(self._record, [self._items[item] for item in items if item in self._items])

    def before(self, path: Path) -> None:
        """Raise if something is at `path` that the command did not write; also before the work begins."""
        name = self._name(path)
        if name is None:
            return
        for above in _absolute(path).parents:
            if above == self.root:
                break
            if above.exists() and not above.is_dir():
                raise would_replace(above)
        state = _own_state(path)
        if state is not None and (path.is_dir() or state not in self._states(name)):
            raise would_replace(path)

    def replacing(self, aside: Path, path: Path) -> None:
        """Note the state of a file that is about to be moved to `path`."""
        name = self._name(path)
        if name is not None:
            state = _own_state(aside)
            if state is None:
                raise WriteError(path, "its temporary file was removed by someone else")
            size, changed = state
            self._states(name).append(state)
            self._write_line({"file": name, "size": size, "changed": changed})

    def interrupt(self) -> None:
        """Leave the record, unless nothing was written."""
        with suppress(OSError):  # the error that interrupts is the one to report
            self._file.close()
            if not self._has_written:
                self._record.unlink(missing_ok=True)

    def finish(self, *, keep_list: bool) -> None:
        """Replace the record by the list of files."""
        self._file.close()
        if keep_list:
            own = self._own.get(self._by, {})
            self._own[self._by] = {
                name: states[-1:]
                for name, states in own.items()
                if _own_state(self.root / name) in states[-1:]
            }
            write_json(self.root / OWN_FILES, self._own)
        with write_errors_for(self._record):
            self._record.unlink()

    def _take_over(self, begun: Unfinished) -> None:
        """Take over the files and finished items of an interrupted command; remove incomplete files."""
        remove_leftovers(self.root)
        own = self._own.setdefault(begun.command, {})
        files: list[str] = []
        for place, line in begun.lines.items():
            if "file" in line:
                files.append(line["file"])
                own.setdefault(files[-1], []).append((line["size"], line["changed"]))
            else:
                if all(_own_state(self.root / name) == own[name][-1] for name in files):
                    self._items[line["item"]] = place
                files = []

    def _states(self, name: str) -> list[State]:
        """Return the states in which the command wrote a file."""
        return self._own.setdefault(self._by, {}).setdefault(name, [])

    def _write_line(self, values: Mapping[str, object]) -> None:
        self._has_written = True
        with write_errors_for(self._record):
            self._file.write(json.dumps(values).encode() + b"\n")
            self._file.flush()

    def _name(self, path: Path) -> str | None:
        """Return the path relative to the folder, or None if it is elsewhere."""
        path = _absolute(path)
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else None


@dataclass(frozen=True)
class Entries:
    """Entries of finished items, read from the record each time they are iterated, one at a time."""

    record: Path
    places: Sequence[int]

    def __iter__(self) -> Iterator[Any]:
        with self.record.open("rb") as file:
            for place in self.places:
                file.seek(place)
                entry = json.loads(file.readline())["entry"]
                if entry is not None:
                    yield entry


def is_of_a_kill(path: Path) -> bool:
    """Tell whether a file is what a command leaves that is killed before it writes anything."""
    return path.name == LOCK or is_leftover(path)


def would_replace(path: Path) -> ConfigError:
    """Return the error of an output whose place is taken."""
    return ConfigError(
        describe(
            "The output would replace another file",
            where=path,
            found="a folder"
            if path.is_dir()
            else "a file that this command did not write, or that was changed since",
            expected="no file of that name, or one that this command wrote",
            fix="Choose another output, or move or delete the file.",
        )
    )


def _refuse_unless_resumed(folder: Path, begun: Unfinished, by: str, request: Request | None) -> None:
    """Refuse to write to a folder in which a resumable command was interrupted, except to resume it."""
    asked = {} if request is None else request.asked
    is_resumed = request is not None and request.resume and begun.command == by
    if not begun.asked or (is_resumed and asked == begun.asked):
        return
    found, expected = begun.progress, "a folder that is finished, or a new one"
    fix = f"Continue with the same `limner {begun.command}` and --resume, or delete the folder."
    if is_resumed:
        keys = sorted(asked.keys() | begun.asked.keys())
        changed = [key for key in keys if asked.get(key) != begun.asked.get(key)]
        found, expected = (
            "; ".join(f"{key}: {values.get(key)}" for key in changed) for values in (asked, begun.asked)
        )
        fix = "Use the same arguments and files to continue, or delete the folder and start again."
    raise ConfigError(
        describe(
            f"`limner {begun.command}` was interrupted in this folder",
            where=folder,
            found=found,
            expected=expected,
            fix=fix,
        )
    )


def _read_lists(folder: Path) -> dict[str, dict[str, list[State]]]:
    """Return command -> file -> states; nothing if there is no list or it is damaged."""
    try:
        lists = json.loads((folder / OWN_FILES).read_bytes())
        return {
            str(command): {
                str(name): [(int(size), int(changed)) for size, changed in states]
                for name, states in files.items()
            }
            for command, files in lists.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _absolute(path: Path) -> Path:
    """Resolve links of the folder, but not of the file itself, which is what is replaced."""
    path = Path(os.path.abspath(path))  # noqa: PTH100 - links are kept
    return path.parent.resolve() / path.name


def _own_state(path: Path) -> State | None:
    """Return the state of a file or link itself, which is what would be replaced."""
    return file_state(path, follow_links=False)
