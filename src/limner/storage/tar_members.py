"""Members of tar archives, read at their positions, which are found once and kept in limner's cache."""

import tarfile
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2b
from io import FileIO
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from limner.core.errors import DataError, describe
from limner.storage.cache import Cache
from limner.storage.file_states import State, state_on_disk
from limner.storage.remote_files import is_remote, open_remote, remote_part, remote_state

BLOCK = 512
"""Bytes of a header; two blocks of zeros end an archive."""

MOST_OPENED = 4096
"""Number of archives whose positions are held in memory: some tens of bytes for each member."""

DAMAGE = "[damage]"
"""Name under which the damage of an archive is reported among its members."""

_MALFORMED = (tarfile.TarError, ValueError, IndexError, OverflowError, RecursionError)
"""What tarfile raises for headers that are none."""

_POSITIONS = Cache("tars", suffix=".npz")


@dataclass(frozen=True, eq=False)
class TarMembers:
    """The files in an archive, in its order; two with the same name are the last of them.

    Attributes:
        path: The archive.
        state: Its state when it was listed.
        names: The names in UTF-8, in the order of the archive, with a line end after each.
        keys: (N,) `_key` of each name, sorted; of equal ones, the last member comes last.
        places: (N, 2) first byte and number of bytes of each member, in the order of `keys`.
        damage: What is wrong with the archive; empty if nothing is. Members before the damage can be read.
        is_remote: Whether it is at an address.
    """

    path: Path
    state: State
    names: bytes
    keys: npt.NDArray[np.uint64]
    places: npt.NDArray[np.int64]
    damage: str = ""
    is_remote: bool = False

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        yield from self.names.decode("utf-8", "surrogateescape").split("\n")[:-1]

    @cached_property
    def _key_view(self) -> memoryview:
        """The keys, of which one is found faster than by numpy."""
        return self.keys.data

    def place_of(self, name: str) -> tuple[int, int] | None:
        """Return the first byte and the number of bytes of a member, or None if there is none."""
        key = _key(name.encode("utf-8", "surrogateescape"))
        last = bisect_right(self._key_view, key) - 1
        if last < 0 or self._key_view[last] != key:
            return None
        start, size = self.places[last].tolist()
        return start, size

    def read(self, name: str) -> bytes:
        """Return the content of a member.

        Raises:
            DataError: There is no such member, or it cannot be read.
        """
        place = self.place_of(name)
        if place is None:
            raise DataError(
                describe(
                    "The archive is damaged" if self.damage else "The archive has no such member",
                    where=self.path,
                    found=self.damage or f"no {name} among {len(self.places)} members",
                    fix="Copy or write the archive again." if self.damage else "Check the name.",
                )
            )
        start, size = place
        if self.is_remote:
            return remote_part(self.path, start, start + size, self.state)
        try:
            with open(self.path, "rb", buffering=0) as file:  # noqa: PTH123 - faster, for each image
                file.seek(start)
                data = _read_whole(file, size)
        except OSError as error:
            raise _unreadable_archive(self.path, error.strerror or str(error)) from None
        if len(data) != size:
            found_bytes = (
                f"{len(data)} of {size} bytes of {name}; the file is being changed, or its disk fails"
            )
            raise _unreadable_archive(self.path, found_bytes)
        return data


def tar_members(path: Path) -> TarMembers:
    """Return the members of an archive on disk or at an address.

    Raises:
        DataError: It cannot be read, or is no tar archive that is read without unpacking.
    """
    remote = is_remote(path)
    state = remote_state(path) if remote else state_on_disk(path)
    if state is None:
        raise _unreadable_archive(path, "no such file, or no permission to read it")
    return _members_in_state(path, state, is_remote=remote)


@lru_cache(maxsize=MOST_OPENED)
def _members_in_state(path: Path, state: State, *, is_remote: bool) -> TarMembers:
    def recall(file: BinaryIO) -> TarMembers | None:
        with np.load(file, allow_pickle=False) as kept:
            if tuple(kept["state"].tolist()) != state:
                return None
            arrays = kept["names"].tobytes(), kept["keys"], kept["places"]
            return TarMembers(path, state, *arrays, is_remote=is_remote)

    known = _POSITIONS.load(path, recall)
    if known is not None:
        return known
    members = _listed(path, state, is_remote=is_remote)
    if not members.damage and members.names:  # a damaged one may still be being written
        arrays: dict[str, npt.NDArray[Any]] = {"keys": members.keys, "places": members.places}
        arrays["state"] = np.array(state, np.int64)
        arrays["names"] = np.frombuffer(members.names, np.uint8)
        _POSITIONS.save(path, lambda file: np.savez(file, allow_pickle=False, **arrays))
    return members


def _listed(path: Path, state: State, *, is_remote: bool) -> TarMembers:
    """Read all headers of an archive."""
    names: list[bytes] = []
    places: list[Sequence[int]] = []
    damage = ""
    try:
        opened: BinaryIO = open_remote(path) if is_remote else path.open("rb")
        with opened as file:
            end = file.seek(0, 2)
            file.seek(0)
            with tarfile.open(fileobj=file, mode="r:") as archive:
                try:
                    damage = _read_headers(archive, file, end, names, places)
                except _MALFORMED as error:
                    damage = f"{error}, {_after(names)}"
    except _MALFORMED as error:
        raise _no_archive(path, str(error)) from None
    except OSError as error:
        raise _unreadable_archive(path, error.strerror or str(error)) from None
    keys = np.fromiter(map(_key, names), np.uint64, len(names))
    order = np.argsort(keys, kind="stable")
    table = np.array(places, np.int64).reshape(-1, 2)[order]
    joined = b"".join(b"%b\n" % name for name in names)
    return TarMembers(path, state, joined, keys[order], table, damage, is_remote)


def _read_headers(
    archive: tarfile.TarFile, file: BinaryIO, end: int, names: list[bytes], places: list[Sequence[int]]
) -> str:
    """Append names and places of the files in an archive; return what is wrong with it."""
    while (member := archive.next()) is not None:
        archive.members.clear()  # type: ignore[attr-defined]  # they would take a kilobyte each
        if member.size < 0:
            return f"{member.name} has an impossible size"
        if member.offset_data + member.size > end:
            return f"it ends at byte {end}, inside {member.name}"
        name = PurePosixPath(member.name.lstrip("/"))
        if ".." in name.parts or "\n" in member.name:
            return f"a member has the name {member.name!r}, which cannot be used, {_after(names)}"
        if member.isreg() and not member.issparse():
            names.append(name.as_posix().encode("utf-8", "surrogateescape"))
            places.append((member.offset_data, member.size))
    file.seek(archive.offset)
    mark = file.read(BLOCK)
    if len(mark) < BLOCK:
        return f"its end is missing, {_after(names)}"
    return "" if mark == bytes(BLOCK) else f"a header is damaged at byte {archive.offset}, {_after(names)}"


def _read_whole(file: FileIO, size: int) -> bytes:
    """Return as many bytes, which a file may give in several parts; fewer at its end."""
    data = file.read(size) or b""
    while len(data) < size and (more := file.read(size - len(data))):
        data += more
    return data


def _key(name: bytes) -> int:
    """Return a number of 64 bits that no other name in an archive has."""
    return int.from_bytes(blake2b(name, digest_size=8).digest(), "big")


def _after(names: Sequence[bytes]) -> str:
    return f"after {names[-1].decode('utf-8', 'backslashreplace')}" if names else "at its start"


def _no_archive(path: Path, problem: str) -> DataError:
    return DataError(
        describe(
            "The file is no tar archive that can be read",
            where=path,
            found=problem,
            expected="a tar archive that is not compressed, whose members can be read in any order",
            fix="If it is compressed, unpack it first, such as with gunzip.",
        )
    )


def _unreadable_archive(path: Path, problem: str) -> DataError:
    return DataError(describe("The archive cannot be read", where=path, found=problem, fix="Copy it again."))
