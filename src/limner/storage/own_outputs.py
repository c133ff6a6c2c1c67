"""Protection of other files at the place of an output: only files that limner wrote there are replaced.

What limner wrote is recorded in its cache folder, with size and time of change: a file that was edited since
counts as the user's. Without the record nothing is replaced.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from limner.core.errors import ConfigError, describe
from limner.storage.cache import Cache
from limner.storage.whole_files import guard_writes

State = tuple[int, int]
"""Size in bytes, and time of the last change in nanoseconds."""


@contextmanager
def own_outputs(target: Path | str, *, by: str) -> Iterator[None]:
    """Refuse to replace files at or below `target`, inside the block, unless limner wrote them.

    Args:
        target: The output file or folder that the user named.
        by: The command, such as ``predict``; it replaces only what the same command wrote.

    Raises:
        ConfigError: From writing, before a file of someone else is replaced; the file is unchanged.
    """
    outputs = _Outputs(Path(target).expanduser(), by)
    outputs.check_file()
    try:
        with guard_writes(outputs):
            yield
    finally:
        outputs.record()


class _Outputs:
    """Guard of the files at or below one place."""

    def __init__(self, target: Path, by: str) -> None:
        self._target = _absolute(target)
        self._cache = Cache(f"outputs-{by}", suffix=".json")
        self._written: dict[str, State] = self._cache.load(self._target, _read) or {}

    def check_file(self) -> None:
        """Check the target early if it is a file."""
        if self._target.is_file():
            self.before(self._target)

    def before(self, path: Path) -> None:
        """Raise if something is at `path` that was not written by the same command."""
        name = self._name(path)
        if name is None or not os.path.lexists(path) or path.is_dir():
            return  # the system itself refuses to replace a folder
        if self._written.get(name) == _state(path):
            return
        raise ConfigError(
            describe(
                "The output would replace another file",
                where=path,
                found="a file that this command did not write, or that was changed since",
                expected="no file of that name, or one that this command wrote",
                fix="Choose another output, or move or delete the file.",
            )
        )

    def after(self, path: Path) -> None:
        """Remember that `path` was written."""
        name = self._name(path)
        if name is not None:
            self._written[name] = _state(path)

    def record(self) -> None:
        """Save what was written."""
        if self._written:
            text = json.dumps(self._written)
            self._cache.save(self._target, lambda file: file.write(text.encode("utf-8", "surrogatepass")))

    def _name(self, path: Path) -> str | None:
        """Return the path relative to the target, or None if it is elsewhere."""
        path = _absolute(path)
        return path.relative_to(self._target).as_posix() if path.is_relative_to(self._target) else None


def _read(file: BinaryIO) -> dict[str, State]:
    found = json.loads(file.read())
    return {str(name): (int(size), int(changed)) for name, (size, changed) in found.items()}


def _absolute(path: Path) -> Path:
    """Resolve links of the folder, but not of the file itself, which is what is replaced."""
    path = Path(os.path.abspath(path))  # noqa: PTH100 - links are kept
    return path.parent.resolve() / path.name


def _state(path: Path) -> State:
    stat = path.lstat()
    return stat.st_size, stat.st_mtime_ns
