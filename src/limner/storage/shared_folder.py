"""The folder in which processes share their work: on a disk that all of them see, or at an address.

What `ShardLedger` and `WorkClaims` need of it are a few requests that a disk and an object store both have.
Names are relative to the folder, with ``/``.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from limner.core.errors import WriteError
from limner.storage.disk_problems import disk_problem, write_errors_for
from limner.storage.filled_folder import is_of_a_kill
from limner.storage.output_folder import make_output_folder, refuse_dataset
from limner.storage.remote_files import is_remote
from limner.storage.remote_folder import RemoteFolder
from limner.storage.remote_requests import address_of
from limner.storage.user_paths import user_path
from limner.storage.whole_files import open_whole, remove_leftovers, write_whole


class SharedFolder(Protocol):
    """A folder that several processes read and write.

    Attributes:
        where: The folder, for messages.
        wait_seconds: Time between two looks at what other processes do.
        loses_files: Whether files that were written can be lost, as in a power cut.
    """

    wait_seconds: float
    loses_files: bool

    @property
    def where(self) -> Path | str:
        """The folder, for messages."""
        ...

    def below(self, name: str) -> "SharedFolder":
        """Return a folder in this one."""
        ...

    def make(self) -> None:
        """Create the folder, if folders are created here.

        Raises:
            DataError: It cannot be created, or is inside a dataset.
            WriteError: The disk is full, read-only or failing.
        """
        ...

    def names(self) -> list[str]:
        """Return the names of the files and folders in it, but those that a kill leaves.

        Raises:
            FileNotFoundError: It does not exist; an address may return nothing instead.
        """
        ...

    def has(self, name: str) -> bool:
        """Tell whether there is a file."""
        ...

    def size(self, name: str) -> int | None:
        """Return the number of bytes of a file, or None if there is none."""
        ...

    def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        """Return the content of a file, or the bytes from `start` to before `stop`.

        Raises:
            FileNotFoundError: There is no such file.
        """
        ...

    def life_of(self, name: str) -> tuple[object, bytes]:
        """Return something that differs after each `renew` of a file, and its content.

        Raises:
            FileNotFoundError: There is no such file.
        """
        ...

    def create(self, name: str, content: bytes) -> bool:
        """Create a file unless there is one, and return whether it was created.

        Args:
            name: The file.
            content: Content that no other process would write, nor anything that begins with its first half.

        Raises:
            FileNotFoundError: The folder does not exist; at an address, it is created instead.
            WriteError: The disk is full, read-only or failing.
        """
        ...

    def renew(self, name: str, content: bytes) -> None:
        """Show that the process that created a file still works; the file may be gone.

        Args:
            name: The file.
            content: What it was created with, and something that differs each time.
        """
        ...

    def write(self, name: str, content: bytes | str, *, durable: bool = False) -> None:
        """Create or replace a file, whole or not at all.

        Args:
            name: The file.
            content: Bytes, or text, which is written as UTF-8.
            durable: Wait until it would survive a power cut.

        Raises:
            WriteError: The disk is full, read-only or failing.
        """
        ...

    def copy_in(self, source: Path, name: str) -> None:
        """Create or replace a file with the content of one on disk, whole or not at all.

        Raises:
            WriteError: The disk is full, read-only or failing.
        """
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        ...

    def remove_leftovers(self) -> None:
        """Remove what killed processes left half written."""
        ...

    def remove_folder(self, name: str, *, first: str) -> None:
        """Remove a folder with all that is in it, if it is there.

        Args:
            name: The folder.
            first: File in it that is removed before the others, unless all are removed at once.
        """
        ...


class DiskFolder:
    """A folder on a disk.

    Args:
        path: The folder.
    """

    wait_seconds = 0.5
    loses_files = True

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def where(self) -> Path:
        """The folder."""
        return self.path

    def below(self, name: str) -> "DiskFolder":
        """Return a folder in this one."""
        return DiskFolder(self.path / name)

    def make(self) -> None:
        """Create the folder if it does not exist; see `SharedFolder.make`."""
        refuse_dataset(self.path)
        make_output_folder(self.path)

    def names(self) -> list[str]:
        """Return the names of files and folders, see `SharedFolder.names`."""
        names = os.listdir(self.path)  # noqa: PTH208 - much faster than paths, and there may be thousands
        return [name for name in names if name[0] != "." or not is_of_a_kill(self.path / name)]

    def has(self, name: str) -> bool:
        """Tell whether there is a file."""
        return (self.path / name).is_file()

    def size(self, name: str) -> int | None:
        """Return the number of bytes of a file, or None if there is none."""
        with suppress(OSError):
            return (self.path / name).lstat().st_size
        return None

    def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        """Return the content of a file or a part of it, see `SharedFolder.read`."""
        with (self.path / name).open("rb") as file:
            file.seek(start)
            return file.read() if stop is None else file.read(stop - start)

    def life_of(self, name: str) -> tuple[object, bytes]:
        """Return the date and the content of a file, see `SharedFolder.life_of`."""
        path = self.path / name
        return path.stat().st_mtime_ns, path.read_bytes()

    def create(self, name: str, content: bytes) -> bool:
        """Create a file unless there is one, see `SharedFolder.create`."""
        path = self.path / name
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            return False
        except FileNotFoundError:
            raise
        except OSError as error:
            raise WriteError(path, disk_problem(error) or str(error)) from error
        try:
            with write_errors_for(path), os.fdopen(descriptor, "wb") as file:
                file.write(content)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return True

    def renew(self, name: str, content: bytes) -> None:
        """Renew the date of a file."""
        with suppress(OSError):
            os.utime(self.path / name)

    def write(self, name: str, content: bytes | str, *, durable: bool = False) -> None:
        """Create or replace a file, see `SharedFolder.write`."""
        write_whole(self.path / name, content, durable=durable)

    def copy_in(self, source: Path, name: str) -> None:
        """Create or replace a file with the content of another, see `SharedFolder.copy_in`."""
        with source.open("rb") as file, open_whole(self.path / name, durable=True) as copy:
            shutil.copyfileobj(file, copy)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with write_errors_for(self.path / name):
            (self.path / name).unlink(missing_ok=True)

    def remove_leftovers(self) -> None:
        """Remove what killed processes left half written."""
        remove_leftovers(self.path)

    def remove_folder(self, name: str, *, first: str) -> None:
        """Remove a folder at once, so that no process takes half of it for unfinished work."""
        aside = self.path / f"{name}-finished"
        with suppress(OSError):
            (self.path / name).rename(aside)
        for folder in (aside, self.path / name):
            shutil.rmtree(folder, ignore_errors=True)


def shared_folder(named: Path | str) -> SharedFolder:
    """Return the folder that a user named, at an address or on a disk.

    Raises:
        ConfigError: The path cannot be used.
    """
    address = address_of(named)
    if address is not None and is_remote(Path(named)):
        return RemoteFolder(address)
    return DiskFolder(user_path(named))
