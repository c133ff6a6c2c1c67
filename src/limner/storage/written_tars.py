"""Write tar archives, the same bytes for the same members."""

import io
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, cast

from limner.storage.whole_files import open_whole

MOST_BYTES_OF_TAR = 256 << 20
"""Size after which another archive is begun."""

TarMember = tuple[str, bytes]
"""Name and content of a file."""


def write_tars(
    folder: Path, stem: str, groups: Iterable[Iterable[TarMember]], *, most_bytes: int = MOST_BYTES_OF_TAR
) -> Iterator[tuple[str, str]]:
    """Write ``STEM-000000.tar`` and so on, and yield the name and the SHA-256 of each.

    Args:
        folder: The folder of the archives.
        stem: First part of their names.
        groups: Files that stay together in one archive.
        most_bytes: Size after which another archive is begun.

    Raises:
        WriteError: The disk is full, read-only or failing.
    """
    remaining = iter(groups)
    group = next(remaining, None)
    number = 0
    while group is not None:
        name = f"{stem}-{number:06d}.tar"
        with ExitStack() as stack:
            file = stack.enter_context(open_whole(folder / name))
            hashed = _Hashed(file)
            add = stack.enter_context(open_tar(cast(BinaryIO, hashed)))
            while group is not None and hashed.num_bytes < most_bytes:
                for member, content in group:
                    add(member, content)
                group = next(remaining, None)
        yield name, hashed.digest.hexdigest()
        number += 1


@contextmanager
def open_tar(file: BinaryIO) -> Iterator[Callable[[str, bytes], None]]:
    """Begin an archive in a file, which is only written to; yield what appends a name and its content."""
    with tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as archive:

        def add(name: str, content: bytes) -> None:
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))

        yield add


class _Hashed:
    """A file that is written once, from its beginning to its end, with its hash."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = sha256()
        self.num_bytes = 0

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.num_bytes += len(data)
        return self._file.write(data)
