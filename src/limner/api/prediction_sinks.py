"""Where the results of shards go: they stay on the disk, are copied to an address, or packed into files.

Results that do not stay are first written to a folder for temporary files, image by image.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from limner.api.prediction_packs import Pack, PackedImage, kind_of, pack_named
from limner.inference.image_paths import ImagePath
from limner.storage.shard_ledger import MIN_SHARDS
from limner.storage.shared_folder import DiskFolder, SharedFolder, shared_folder

MIN_PACKS = 32
"""Minimum number of shards that become one file each; they get fewer images if there would be fewer."""

COPIES = 8
"""Number of files that are copied to an address at the same time."""

MOST_WAITING = 4 * COPIES
"""Number of files that may wait to be copied before the next image is predicted."""

Files = Mapping[str, int]
"""Name of a file, relative to the folder of results, -> its size."""


class ShardSink(Protocol):
    """Receives the results of one shard."""

    def add(self, item: ImagePath, found: Mapping[str, Any], files: Files) -> Files:
        """Take the results of an image.

        Args:
            item: The image.
            found: Its prediction as JSON-ready values, if results are packed.
            files: Its files in the work folder.

        Returns:
            The files that have to be there when all shards are done.

        Raises:
            DataError: The image cannot be read again; nothing was taken.
            UnreachableError: A server fails.
            WriteError: The disk is full, read-only or failing.
        """
        ...

    def fail(self, item: ImagePath, problem: str) -> None:
        """Note an image that could not be predicted."""
        ...

    def finish(self) -> Files:
        """Move all results to the destination before the shard is recorded; returns and raises like `add`."""
        ...


@dataclass(frozen=True)
class Destination:
    """Where the user wants the results, and how they are packed.

    Attributes:
        place: The folder of the results.
        pack: Kind of file into which those of a shard are packed; None for files of their own.
    """

    place: SharedFolder
    pack: Pack | None

    @property
    def is_packed(self) -> bool:
        """Whether results are packed."""
        return self.pack is not None

    @property
    def is_plain(self) -> bool:
        """Whether results stay where they are written: in a folder on a disk, each in its own file."""
        return self.pack is None and isinstance(self.place, DiskFolder)


def destination_of(out: Path | str, pack: str | None) -> Destination:
    """Return the destination that the user asks for.

    Args:
        out: A folder, or an address.
        pack: A name of `limner.api.prediction_packs.PACKS`, or None.

    Raises:
        ConfigError: The path cannot be used, or there is no such kind of file.
        MissingPartError: A library for that kind is not installed.
    """
    return Destination(shared_folder(out), None if pack is None else pack_named(pack))


@dataclass(frozen=True)
class Sink:
    """Where the results of all shards go.

    Attributes:
        destination: Where the user wants the results.
        work: The folder in which results are written.
        kinds: Kinds of the files of an image, see `limner.api.prediction_packs.kind_of`.
    """

    destination: Destination
    work: Path
    kinds: Sequence[str] = ()

    @property
    def min_shards(self) -> int:
        """Minimum number of shards; they get fewer images if there would be fewer."""
        return MIN_PACKS if self.destination.is_packed else MIN_SHARDS

    @contextmanager
    def shard(self, number: int, beat: Callable[[], None]) -> Iterator[ShardSink]:
        """Begin the results of a shard.

        Args:
            number: Number of the shard.
            beat: Shows other processes that this one is working; called while files are copied.
        """
        if self.destination.pack is not None:
            with ExitStack() as stack:
                yield _Packed(self, self.destination.pack, number, stack)
        elif self.destination.is_plain:
            yield _InPlace()
        else:
            pool = ThreadPoolExecutor(COPIES)
            try:
                yield _Copied(self, pool, beat)
            finally:
                pool.shutdown(cancel_futures=True)

    def bring(self, names: Iterable[str]) -> None:
        """Move files about all images from the work folder to the destination.

        Raises:
            UnreachableError: The server fails.
            WriteError: The disk is full, read-only or failing.
        """
        if not self.destination.is_plain:
            for name in names:
                self.move(name)

    def move(self, name: str) -> None:
        """Move a file from the work folder to the destination; raises like `bring`."""
        self.destination.place.copy_in(self.work / name, name)
        (self.work / name).unlink()


@contextmanager
def work_folder(destination: Destination) -> Iterator[Path]:
    """Return the folder in which results are written: their place, or a temporary one on this disk."""
    if destination.is_plain and isinstance(destination.place, DiskFolder):
        yield destination.place.path
    else:
        with TemporaryDirectory(prefix="limner-", ignore_cleanup_errors=True) as folder:
            yield Path(folder)


class _InPlace:
    """Results that stay where they are written."""

    def add(self, item: ImagePath, found: Mapping[str, Any], files: Files) -> Files:
        """Return all files, since a power cut may spoil them."""
        return files

    def fail(self, item: ImagePath, problem: str) -> None:
        """Do nothing: the record of the shard lists failed images."""

    def finish(self) -> Files:
        """Do nothing."""
        return {}


class _Copied:
    """Results that are copied, several files at the same time."""

    def __init__(self, sink: Sink, pool: ThreadPoolExecutor, beat: Callable[[], None]) -> None:
        self._sink, self._pool, self._beat = sink, pool, beat
        self._waiting: deque[Future[None]] = deque()

    def add(self, item: ImagePath, found: Mapping[str, Any], files: Files) -> Files:
        """Begin to copy the files of an image."""
        self._waiting += (self._pool.submit(self._sink.move, name) for name in files)
        self._await(MOST_WAITING)
        return {}

    def fail(self, item: ImagePath, problem: str) -> None:
        """Do nothing: the record of the shard lists failed images."""

    def finish(self) -> Files:
        """Wait until all files are copied."""
        self._await(0)
        return {}

    def _await(self, most: int) -> None:
        """Wait until at most this number of files is left."""
        while len(self._waiting) > most:
            while not wait([self._waiting[0]], timeout=1).done:
                self._beat()
            self._waiting.popleft().result()


class _Packed:
    """Results that are packed into one file, with the reasons of images that failed if it has a place."""

    def __init__(self, sink: Sink, pack: Pack, number: int, stack: ExitStack) -> None:
        self._sink, self._stack = sink, stack
        self._name = f"part-{number:06d}{pack.suffix}"
        self._add = stack.enter_context(pack.open(sink.work / self._name, sink.kinds))

    def add(self, item: ImagePath, found: Mapping[str, Any], files: Files) -> Files:
        """Pack the prediction and the files of an image."""
        paths = {kind_of(name, item.output): self._sink.work / name for name in files}
        try:
            contents = {kind: path.read_bytes() for kind, path in paths.items()}
            self._add(PackedImage(item.path, item.output, found, contents))
        finally:
            for path in paths.values():
                path.unlink()
        return {}

    def fail(self, item: ImagePath, problem: str) -> None:
        """Pack the reason that there is no prediction."""
        self._add(PackedImage(item.path, item.output, problem=problem))

    def finish(self) -> Files:
        """End the file and move it to its place."""
        self._stack.close()
        size = (self._sink.work / self._name).stat().st_size
        self._sink.move(self._name)
        return {self._name: size}
