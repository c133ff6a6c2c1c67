"""A folder at an address, such as ``s3://bucket/results/``, in which processes share their work.

Stores replace a file as a whole, and show it to all readers from then on. Most of them also refuse to create
a file that exists (S3, Google's and Azure's do), so that a claim succeeds for one process only. Where a
driver looks first and then writes, two processes can claim the same part at the same moment; they then write
the same files twice.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from limner.storage.remote_requests import (
    ShortError,
    UnreachableError,
    files_and_place,
    is_missing,
    is_taken,
    repeat_request,
)
from limner.storage.whole_files import encoded

REMOVALS = 8
"""Number of files that are removed at the same time."""

T = TypeVar("T")


class RemoteFolder:
    """A folder at an address; its methods are those of `SharedFolder`.

    All of them raise:
        DataError: Its files may not be read, or fsspec has no driver for the scheme.
        UnreachableError: The store fails, or its files may not be written.
        MissingPartError: fsspec or the driver is not installed.

    Args:
        address: The address; a slash at its end makes no difference.
    """

    wait_seconds = 5.0
    loses_files = False  # each file is looked at after it was written, and stores keep what they have

    def __init__(self, address: str) -> None:
        self._address = address.rstrip("/")

    @property
    def where(self) -> str:
        """The address."""
        return self._address

    def below(self, name: str) -> "RemoteFolder":
        """Return a folder in this one."""
        return RemoteFolder(f"{self._address}/{name}")

    def make(self) -> None:
        """Do nothing: stores have no folders, and drivers that need one create it with its first file."""

    def names(self) -> list[str]:
        """Return the names of files and folders, see `SharedFolder.names`."""
        files, place = self._files, self._place
        found = self._if_there(lambda: files.ls(place, detail=False), "")
        names = (str(one).strip("/") for one in found or ())
        return [name.rpartition("/")[2] for name in names if name != place.strip("/")]

    def has(self, name: str) -> bool:
        """Tell whether there is a file."""
        return self.size(name) is not None

    def size(self, name: str) -> int | None:
        """Return the number of bytes of a file, or None if there is none."""
        found = self._if_there(lambda: self._files.info(self._at(name)), name)
        return None if found is None or found.get("type") == "directory" else int(found["size"])

    def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        """Return the content of a file or a part of it, see `SharedFolder.read`."""
        place = self._at(name)
        part = {} if stop is None else {"start": start, "end": stop}

        def request() -> bytes | None:
            size = self.size(name) if stop is None else stop - start
            data: bytes | None = self._if_there(lambda: self._files.cat_file(place, **part), name)
            if size is None or data is None:
                return None
            if len(data) != size:
                raise ShortError(f"{len(data)} of {size} bytes")
            return data if stop is not None else data[start:]

        found = repeat_request(request, self._named(name))
        if found is None:
            raise FileNotFoundError(self._named(name))
        return found

    def life_of(self, name: str) -> tuple[object, bytes]:
        """Return the content of a file twice: `renew` changes it."""
        content = self.read(name)
        return content, content

    def create(self, name: str, content: bytes) -> bool:
        """Create a file unless there is one, see `SharedFolder.create`."""
        if self.has(name):  # for drivers that replace it
            return False

        def request() -> None:
            try:
                self._files.pipe_file(self._at(name), content, mode="create")
            except Exception as error:
                # Also of an earlier attempt, whose answer was lost.
                if not is_taken(error):
                    raise

        self._repeated(request, name)
        try:
            found = self.read(name)
        except FileNotFoundError:  # another process had it, and gave it back
            return False
        if found and found != content and content.startswith(found):  # it was stored in part
            try:
                self.write(name, content)
            except UnreachableError:
                self.remove(name)  # else it would be taken for that of a process that works
                raise
            return True
        return found == content

    def renew(self, name: str, content: bytes) -> None:
        """Write a file again, with something in it that differs each time."""
        self.write(name, content)

    def write(self, name: str, content: bytes | str, *, durable: bool = False) -> None:
        """Create or replace a file, see `SharedFolder.write`."""
        data = encoded(content) if isinstance(content, str) else content
        self._stored(name, len(data), lambda: self._files.pipe_file(self._at(name), data))

    def copy_in(self, source: Path, name: str) -> None:
        """Create or replace a file with the content of one on disk, see `SharedFolder.copy_in`."""
        size = source.stat().st_size
        self._stored(name, size, lambda: self._files.put_file(str(source), self._at(name)))

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        self._if_there(lambda: self._files.rm_file(self._at(name)), name)

    def remove_leftovers(self) -> None:
        """Do nothing: stores show no file before it is whole."""

    def remove_folder(self, name: str, *, first: str) -> None:
        """Remove a folder, `first` before the other files."""
        self.remove(f"{name}/{first}")
        with ThreadPoolExecutor(REMOVALS) as pool:
            list(pool.map(self.remove, self._below(name)))

    def _below(self, name: str) -> Iterator[str]:
        """Yield the files in a folder and its folders; each request is repeated by itself."""
        for found in self._if_there(lambda: self._files.ls(self._at(name), detail=True), name) or ():
            inner = f"{name}/{str(found['name']).rstrip('/').rpartition('/')[2]}"
            if found["type"] != "directory":
                yield inner
            elif str(found["name"]).strip("/") != self._at(name).strip("/"):
                yield from self._below(inner)

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        return files_and_place(self._address)

    @property
    def _files(self) -> Any:  # noqa: ANN401 - of the driver
        """The file system, without what it remembers of earlier listings."""
        files = self._opened[0]
        files.invalidate_cache()
        return files

    @property
    def _place(self) -> str:
        return self._opened[1].rstrip("/")

    def _at(self, name: str) -> str:
        return f"{self._place}/{name}"

    def _named(self, name: str) -> str:
        return f"{self._address}/{name}"

    def _stored(self, name: str, size: int, request: Callable[[], object]) -> None:
        """Store a file, and look whether the store has all of it."""

        def store() -> None:
            self._repeated(request, name)
            found = self.size(name)
            if found != size:
                raise ShortError(f"the store has {found or 0} of {size} bytes")

        self._repeated(store, name)

    def _repeated(self, request: Callable[[], T], name: str) -> T:
        return repeat_request(request, self._named(name), doing="written")

    def _if_there(self, request: Callable[[], T], name: str) -> T | None:
        """Return the result of a request, or None if the file is missing."""

        def attempt() -> T | None:
            try:
                return request()
            except Exception as error:
                if is_missing(error):
                    return None
                raise

        return repeat_request(attempt, self._named(name))
