"""List the files under a folder, without hidden and system files; loops of links are handled."""

import os
import stat
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from limner.core.errors import DataError, describe
from limner.images.file_names import image_stem, is_image_name

_LITTER = frozenset({"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "lost+found"})


@dataclass(frozen=True)
class FileTree:
    r"""The files under a dataset folder, all as paths relative to it, sorted.

    Attributes:
        images: Files with an image's suffix.
        others: Every other file, list files among them.
        image_named_folders: Folders whose name ends like an image file.
        linked_again: Links to a folder that is already listed (a loop, or a second way in).
        unreadable: Folders that may not be listed.
        garbled: Files whose name is not text, written with its bytes as ``\xff``; they are skipped.
        folder_dates: Every folder, and its time of change in nanoseconds before it was listed.
    """

    images: tuple[PurePosixPath, ...]
    others: tuple[PurePosixPath, ...]
    image_named_folders: tuple[PurePosixPath, ...]
    linked_again: tuple[PurePosixPath, ...]
    unreadable: tuple[PurePosixPath, ...]
    garbled: tuple[PurePosixPath, ...] = ()
    folder_dates: tuple[tuple[str, int], ...] = ()

    @cached_property
    def remembered(self) -> dict[object, Any]:
        """Results that formats computed from the names, shared while the folder is opened."""
        return {}

    @cached_property
    def images_in(self) -> dict[PurePosixPath, tuple[PurePosixPath, ...]]:
        """Folder -> the images directly in it."""
        folders: dict[str, list[PurePosixPath]] = defaultdict(list)
        for path in self.images:
            folders[folder_of(path)].append(path)
        return {PurePosixPath(folder): tuple(paths) for folder, paths in folders.items()}

    @cached_property
    def stems(self) -> tuple[str, ...]:
        """The names of the images without suffix."""
        return tuple(image_stem(path.name) for path in self.images)

    @property
    def is_empty(self) -> bool:
        """Whether there is no file at all."""
        return not (self.images or self.others)


def folder_of(path: PurePosixPath) -> str:
    """Return the folder of a path as text, empty for the dataset folder; much faster than ``path.parent``."""
    return str(path).rpartition("/")[0]


_LISTED: ContextVar[dict[Path, FileTree] | None] = ContextVar("listed", default=None)


@contextmanager
def listed_once() -> Iterator[None]:
    """Within the block, list each dataset folder only once, though several formats look at it."""
    if _LISTED.get() is not None:
        yield
        return
    token = _LISTED.set({})
    try:
        yield
    finally:
        _LISTED.reset(token)


def list_files(root: Path) -> FileTree:
    """List everything under `root`, following links to folders but none of them twice.

    Raises:
        DataError: `root` is missing, is a file, or may not be read.
    """
    listed = _LISTED.get()
    if listed is None:
        return _list(root)
    if root not in listed:
        listed[root] = _list(root)
    return listed[root]


def _list(root: Path) -> FileTree:
    if not root.is_dir():
        raise _not_a_folder(root)
    # Plain strings until the end: paths as objects are the slow part of listing 100,000 files.
    found: dict[str, list[str]] = {f.name: [] for f in fields(FileTree) if f.name != "folder_dates"}
    dates: list[tuple[str, int]] = []
    visited: set[tuple[int, int]] = set()
    pending = [""]
    while pending:
        folder = pending.pop()
        try:
            status = os.stat(root / folder)  # noqa: PTH116
            if (status.st_dev, status.st_ino) in visited:
                found["linked_again"].append(folder.rstrip("/"))
                continue
            visited.add((status.st_dev, status.st_ino))
            dates.append((folder.rstrip("/"), status.st_mtime_ns))
            entries = _entries(root / folder)
        except OSError:
            if not folder:
                raise DataError(
                    describe("The folder cannot be listed", where=root, fix="Check its permissions.")
                ) from None
            found["unreadable"].append(folder.rstrip("/"))
            continue
        for entry in entries:
            path = folder + entry.name
            if not (path.isascii() or _is_text(path)):
                found["garbled"].append(os.fsencode(path).decode("utf-8", "backslashreplace"))
                continue
            is_image = is_image_name(entry.name)
            if not _is_folder(entry):
                found["images" if is_image else "others"].append(path)
                continue
            # Links wait at the bottom: files reachable both ways keep their real path.
            pending.insert(0 if entry.is_symlink() else len(pending), path + "/")
            if is_image:
                found["image_named_folders"].append(path)
    listed = {kind: tuple(map(PurePosixPath, sorted(paths))) for kind, paths in found.items()}
    return FileTree(**listed, folder_dates=tuple(dates))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return [
            e for e in entries if e.name[0] != "." and e.name.casefold() not in _LITTER and not _is_special(e)
        ]


def _is_text(name: str) -> bool:
    """Tell whether a name is valid UTF-8, so that it can be written to a file."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_special(entry: os.DirEntry[str]) -> bool:
    """Tell whether an entry is a pipe, a socket or a device, which holds no labels and may never end."""
    try:
        if entry.is_file() or entry.is_dir() or is_image_name(entry.name):
            return False  # such an image is reported when it is read
        mode = entry.stat().st_mode
    except OSError:  # a link to nothing
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _not_a_folder(root: Path) -> DataError:
    if not root.exists():
        near = next((parent for parent in root.parents if parent.is_dir()), None)
        return DataError(
            describe(
                "There is no such dataset folder",
                where=root,
                found="" if near is None else f"the nearest folder that exists is {near}",
                fix="Check the spelling of the path.",
            )
        )
    return DataError(
        describe(
            "A dataset folder was expected",
            where=root,
            found="a single file",
            fix=f"Give the folder that holds the images and masks, perhaps {root.parent}",
        )
    )
