"""Work that any number of processes on any number of hosts share in one output folder.

The items are cut into shards. The ledger is a folder beside the results, on the same disk:

- ``index.jsonl``: one line for each item, in order;
- ``ledger.json``: the request, and where each shard begins in the index; it is written last;
- ``claims/``: which process works on which shard, see `WorkClaims`;
- ``done/NUMBER.jsonl``: the record of a finished shard, whole or absent.

A process that is killed loses the shard in hand, which another process begins again. Claims only save work:
if a process that was silent for too long still finishes its shard, the same files are written twice.
"""

import json
import os
import shutil
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from limner.core.errors import ConfigError, DataError, WriteError, describe
from limner.storage.claimed_folder import refuse_another
from limner.storage.disk_problems import write_errors_for
from limner.storage.filled_folder import is_of_a_kill
from limner.storage.json_files import write_json
from limner.storage.output_folder import make_output_folder, refuse_dataset
from limner.storage.unfinished import SHARED, begin_record, remove_record
from limner.storage.whole_files import open_whole, remove_leftovers, write_whole
from limner.storage.work_claims import WorkClaims

LEDGER = ".limner-shards"
"""Name of the folder of the ledger, which is removed at the end."""

SUMMARY = ".limner-shared.json"
"""Name of the file that stays in a finished folder: the request, and a summary of the work."""

MOST_ITEMS = 256
"""Maximum number of items of a shard: what a kill loses."""

MIN_SHARDS = 256
"""Shards have fewer items rather than being fewer than this, so that many processes have work."""

WAIT_SECONDS = 0.5
"""Time between two looks at what other processes do."""

_INDEX, _HEAD, _CLAIMS, _DONE = "index.jsonl", "ledger.json", "claims", "done"
_INDEXING, _FINISHING = "index", "finish"


@dataclass(frozen=True)
class LedgerHead:
    """Content of ``ledger.json``.

    Attributes:
        asked: The request; it must be equal to join the work.
        num_items: Number of items.
        size: Number of items of each shard but the last.
        starts: Position in the index where each shard begins, and the end of the index.
    """

    asked: Mapping[str, str]
    num_items: int
    size: int
    starts: Sequence[int]

    @property
    def num_shards(self) -> int:
        """Number of shards."""
        return len(self.starts) - 1

    def items_of(self, number: int) -> int:
        """Return the number of items of a shard."""
        return min(self.size, self.num_items - number * self.size)


def shard_size(num_items: int) -> int:
    """Return the number of items of each shard but the last."""
    return min(MOST_ITEMS, max(1, ceil(num_items / MIN_SHARDS)))


def open_ledger(
    root: Path, asked: Mapping[str, str], list_items: Callable[[], Iterable[Sequence[str]]], *, by: str
) -> "ShardLedger | None":
    """Join the shared work in a folder, or begin it.

    Args:
        root: The output folder: a new or empty one, or that of the same work.
        asked: The request, in words.
        list_items: Lists the items, each as a row of texts; it is called by the process that begins.
        by: The command, such as ``predict``.

    Returns:
        The ledger, or None if the work is finished, see `read_summary`.

    Raises:
        ConfigError: The folder holds something else, or shared work with another request.
        DataError: The folder cannot be created, is inside a dataset, or its ledger is damaged.
        WriteError: The folder cannot be written.
    """
    refuse_dataset(root)
    make_output_folder(root)
    folder = root / LEDGER
    _refuse_filled(root)
    claims = WorkClaims(folder / _CLAIMS)
    while not (root / SUMMARY).is_file():
        with write_errors_for(folder):
            (folder / _CLAIMS).mkdir(parents=True, exist_ok=True)
        if head := _read_head(folder):
            refuse_another(root, head.asked, asked, f"`limner {by}`")
            return ShardLedger(root, head, claims)
        if _try_take_index(claims):
            try:
                if not _is_begun(root, folder):  # by a process that released its claim just now
                    _begin(root, folder, asked, list_items, claims, by)
            except BaseException:
                with suppress(WriteError):  # the first error is the one to report
                    remove_record(root)
                shutil.rmtree(folder, ignore_errors=True)
                raise
            claims.release(_INDEXING)
        else:
            time.sleep(WAIT_SECONDS)
    _remove_ledger(root)
    return None


def read_summary(root: Path, asked: Mapping[str, str], *, by: str) -> dict[str, Any] | None:
    """Return the summary of shared work that is finished, or None; remove what is left of its ledger.

    Raises:
        ConfigError: The work had another request.
        DataError: The file is damaged.
    """
    path = root / SUMMARY
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_bytes())
        begun, summary = dict(found["asked"]), dict(found["summary"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from None
    refuse_another(root, begun, asked, f"`limner {by}`")
    remove_record(root)
    _remove_ledger(root)
    return summary


class ShardLedger:
    """The shards of shared work, for one of the processes that work on it.

    Args:
        root: The output folder.
        head: Request and shards.
        claims: The claims of this process and of the others.

    Attributes:
        done: Numbers of the shards that were finished at the last look.
    """

    def __init__(self, root: Path, head: LedgerHead, claims: WorkClaims) -> None:
        self.root, self.head = root, head
        self.done: frozenset[int] = frozenset()
        self._folder = root / LEDGER
        self._claims = claims

    @property
    def num_done(self) -> int:
        """Number of items in finished shards, at the last look."""
        return sum(map(self.head.items_of, self.done))

    @property
    def is_finished(self) -> bool:
        """Whether all work is done and summed up, by this process or another."""
        return (self.root / SUMMARY).is_file()

    @property
    def is_done(self) -> bool:
        """Whether all shards were finished at the last look."""
        return len(self.done) == self.head.num_shards

    def take(self) -> int | None:
        """Claim a shard: one that no process works on, or one whose process has ended; None without any.

        Raises:
            FileNotFoundError: Another process has finished all work and removed the ledger.
            WriteError: The folder cannot be written.
        """
        # In this order: the record of a finished shard is written before its claim is removed.
        claimed = self._claims.latest()
        self.done = self._numbers_done()
        missing = [number for number in range(self.head.num_shards) if number not in self.done]
        free = [number for number in missing if _name(number) not in claimed]
        for number in (*free, *(number for number in missing if _name(number) in claimed)):
            if not self._claims.try_take(_name(number), claimed.get(_name(number))):
                continue
            if not self._record(number).exists():
                return number
            self._claims.release(_name(number))
        return None

    def rows(self, number: int) -> list[list[str]]:
        """Return the items of a shard."""
        start, stop = self.head.starts[number : number + 2]
        with (self._folder / _INDEX).open("rb") as file:
            file.seek(start)
            return [json.loads(line) for line in file.read(stop - start).splitlines()]

    def beat(self) -> None:
        """Show the other processes that this one is working; call it after each item."""
        self._claims.beat()

    def commit(self, number: int, lines: Iterable[Mapping[str, Any]]) -> None:
        """Record a finished shard.

        Args:
            number: The shard, which this process has claimed.
            lines: One JSON-ready line for each item; ``files`` in it are the names, relative to the output
                folder, and sizes of the files that were written for the item.

        Raises:
            FileNotFoundError: As in `take`.
            WriteError: The folder cannot be written.
        """
        if not self._folder.is_dir():
            raise FileNotFoundError(self._folder)
        write_whole(self._record(number), "".join(f"{json.dumps(line)}\n" for line in lines))
        self._claims.release(_name(number))

    def release(self, number: int) -> None:
        """Give a shard back that could not be finished."""
        self._claims.release(_name(number))

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield what `commit` was given for each item, in the order of the index."""
        for number in range(self.head.num_shards):
            with self._record(number).open("rb") as file:
                yield from map(json.loads, file)

    def take_finish(self) -> bool:
        """Claim what is left when all shards are done; return whether this process is to do it.

        Shards with a file that is missing or of another size, as after a power cut, are to be done again.
        """
        if not self._claims.try_take(_FINISHING, self._claims.latest().get(_FINISHING)):
            return False
        spoilt = [number for number in range(self.head.num_shards) if not self._is_complete(number)]
        for number in spoilt:
            self._record(number).unlink(missing_ok=True)
        if spoilt:
            self._claims.release(_FINISHING)
        return not spoilt

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Mark the folder as finished and remove the ledger.

        Raises:
            WriteError: The folder cannot be written.
        """
        if self._claims.latest() != {_FINISHING: 0}:  # there are claims of processes that were killed
            remove_leftovers(self.root)
        kept = {"asked": dict(self.head.asked), "summary": dict(summary)}
        write_json(self.root / SUMMARY, kept, durable=True)
        remove_record(self.root)
        _remove_ledger(self.root)

    def release_finish(self) -> None:
        """Let another process finish, since this one could not."""
        self._claims.release(_FINISHING)

    def _is_complete(self, number: int) -> bool:
        """Tell whether the record of a finished shard is whole, and all its files are there."""
        self.beat()
        try:
            lines = [json.loads(line) for line in self._record(number).read_bytes().splitlines()]
        except (OSError, ValueError):
            return False
        files = (file for line in lines for file in line.get("files", ()))
        is_whole = len(lines) == self.head.items_of(number)
        return is_whole and all(_size(self.root / name) == size for name, size in files)

    def _numbers_done(self) -> frozenset[int]:
        names = os.listdir(self._folder / _DONE)  # noqa: PTH208 - much faster, and there may be thousands
        return frozenset(int(name[:-6]) for name in names if name.endswith(".jsonl") and name[0] != ".")

    def _record(self, number: int) -> Path:
        return self._folder / _DONE / f"{_name(number)}.jsonl"


def _remove_ledger(root: Path) -> None:
    """Remove the ledger at once, so that no process takes half of it for unfinished work."""
    aside = root / f"{LEDGER}-finished"
    with suppress(OSError):
        (root / LEDGER).rename(aside)
    for folder in (aside, root / LEDGER):
        shutil.rmtree(folder, ignore_errors=True)


def _try_take_index(claims: WorkClaims) -> bool:
    """Claim the listing of the items, and return whether that succeeded."""
    try:
        return claims.try_take(_INDEXING, claims.latest().get(_INDEXING))
    except FileNotFoundError:  # the process that was listing them gave up, and removed the folder
        return False


def _is_begun(root: Path, folder: Path) -> bool:
    return (folder / _HEAD).is_file() or (root / SUMMARY).is_file()


def _begin(
    root: Path,
    folder: Path,
    asked: Mapping[str, str],
    list_items: Callable[[], Iterable[Sequence[str]]],
    claims: WorkClaims,
    by: str,
) -> None:
    """Write the index and, when all is in place, the head."""
    starts = array("Q", [0])
    with open_whole(folder / _INDEX, durable=True) as file:
        for row in list_items():
            file.write(json.dumps(row).encode() + b"\n")
            starts.append(file.tell())
            claims.beat()
    num_items = len(starts) - 1
    size = shard_size(num_items)
    with write_errors_for(folder):
        (folder / _DONE).mkdir(exist_ok=True)
    begin_record(root, by, {**asked, **SHARED})
    every = [*starts[:-1:size], starts[-1]]
    head = {"asked": dict(asked), "num_items": num_items, "size": size, "starts": every}
    write_json(folder / _HEAD, head, durable=True)


def _read_head(folder: Path) -> LedgerHead | None:
    path = folder / _HEAD
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_bytes())
        starts = tuple(map(int, found["starts"]))
        return LedgerHead(dict(found["asked"]), int(found["num_items"]), int(found["size"]), starts)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(
        describe(
            "The record of shared work cannot be read",
            where=path,
            found=f"{type(error).__name__}: {error}",
            fix="Delete the output folder, and start the command again.",
        )
    )


def _refuse_filled(root: Path) -> None:
    """Refuse a folder that holds anything but shared work.

    Raises:
        ConfigError: It does.
    """
    is_shared = (root / LEDGER).is_dir() or (root / SUMMARY).is_file()
    others = [path for path in root.iterdir() if not is_of_a_kill(path)] if not is_shared else []
    if others:
        raise ConfigError(
            describe(
                "Processes that share their work need an output folder of their own",
                where=root,
                found=f"{others[0].name} in it",
                expected="a folder that does not exist yet, an empty one, or one of the same shared work",
                fix="Choose another --out, or omit --processes.",
            )
        )


def _name(number: int) -> str:
    return f"{number:06d}"


def _size(path: Path) -> int | None:
    with suppress(OSError):
        return path.lstat().st_size
    return None
