"""Which image files lie under a folder: hidden files and litter left out, link loops survived."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from limner.core.errors import DataError, describe
from limner.formats.pixels import IMAGE_SUFFIXES

_LITTER = frozenset({"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "lost+found"})


@dataclass(frozen=True)
class FileTree:
    """The files under a dataset folder, all as paths relative to it, sorted.

    Attributes:
        images: Files with an image's suffix.
        others: Every other file, list files among them.
        image_named_folders: Folders whose name ends like an image file.
        linked_again: Links to a folder that is already listed (a loop, or a second way in).
        unreadable: Folders that may not be listed.
    """

    images: tuple[PurePosixPath, ...]
    others: tuple[PurePosixPath, ...]
    image_named_folders: tuple[PurePosixPath, ...]
    linked_again: tuple[PurePosixPath, ...]
    unreadable: tuple[PurePosixPath, ...]

    @property
    def is_empty(self) -> bool:
        """There is no file at all."""
        return not (self.images or self.others)


def list_files(root: Path) -> FileTree:
    """List everything under `root`, following links to folders but none of them twice.

    Raises:
        DataError: `root` is missing, is a file, or may not be read.
    """
    if not root.is_dir():
        raise _not_a_folder(root)
    images: list[PurePosixPath] = []
    others: list[PurePosixPath] = []
    named: list[PurePosixPath] = []
    again: list[PurePosixPath] = []
    unreadable: list[PurePosixPath] = []
    visited: set[tuple[int, int]] = set()
    pending = [PurePosixPath()]
    while pending:
        # Real folders before links, so that what is reachable both ways keeps its real path.
        folder = pending.pop(0)
        try:
            status = (root / folder).stat()
            if (status.st_dev, status.st_ino) in visited:
                again.append(folder)
                continue
            visited.add((status.st_dev, status.st_ino))
            entries = list(_entries(root / folder))
        except OSError:
            if folder == PurePosixPath():
                raise DataError(
                    describe("The folder may not be listed", where=root, mend="Check its permissions.")
                ) from None
            unreadable.append(folder)
            continue
        for entry in entries:
            path = folder / entry.name
            is_image = path.suffix.lower() in IMAGE_SUFFIXES
            if _is_folder(entry):
                pending.append(path) if entry.is_symlink() else pending.insert(0, path)
                if is_image:
                    named.append(path)
            else:
                (images if is_image else others).append(path)
    return FileTree(*(tuple(sorted(part)) for part in (images, others, named, again, unreadable)))


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name, reverse=True):
            if not entry.name.startswith(".") and entry.name.casefold() not in _LITTER:
                yield entry


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _not_a_folder(root: Path) -> DataError:
    if not root.exists():
        near = next((parent for parent in root.parents if parent.is_dir()), None)
        return DataError(
            describe(
                "There is no such dataset folder",
                where=root,
                found="" if near is None else f"the nearest folder that exists is {near}",
                mend="Check the spelling of the path.",
            )
        )
    return DataError(
        describe(
            "A dataset folder was expected",
            where=root,
            found="a single file",
            mend=f"Give the folder that holds the images and masks, perhaps {root.parent}",
        )
    )
