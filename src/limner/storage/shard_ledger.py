"""Work that any number of processes on any number of hosts share in one output folder.

The items are cut into shards. The ledger is a folder beside the results, on the same disk or at the same
address:

- ``index-HASH.jsonl``: one line for each item, in order;
- ``ledger.json``: the request, the name of the index, and where each shard begins in it; it is written last,
  and the ledger exists as long as this file does;
- ``claims/``: which process works on which shard, see `WorkClaims`;
- ``done/NUMBER.jsonl``: the record of a finished shard, whole or absent.

A process that is killed loses the shard in hand, which another process begins again. Claims only save work:
if a process that was silent for too long still finishes its shard, the same files are written twice.
"""

import json
import tempfile
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from math import ceil
from pathlib import Path
from typing import Any

from limner.core.errors import ConfigError, DataError, LimnerError, describe
from limner.storage.claimed_folder import refuse_another
from limner.storage.shared_folder import SharedFolder
from limner.storage.unfinished import SHARED, UNFINISHED, record_text
from limner.storage.work_claims import WorkClaims

LEDGER = ".limner-shards"
"""Name of the folder of the ledger, which is removed at the end."""

SUMMARY = ".limner-shared.json"
"""Name of the file that stays in a finished folder: the request, and a summary of the work."""

MOST_ITEMS = 256
"""Maximum number of items of a shard: what a kill loses."""

MIN_SHARDS = 256
"""Shards have fewer items rather than being fewer than this, so that many processes have work."""

_HEAD, _CLAIMS, _DONE = "ledger.json", "claims", "done"
_INDEXING, _FINISHING = "index", "finish"


@dataclass(frozen=True)
class LedgerHead:
    """Content of ``ledger.json``.

    Attributes:
        asked: The request; it must be equal to join the work.
        index: Name of the index.
        num_items: Number of items.
        size: Number of items of each shard but the last.
        starts: Position in the index where each shard begins, and the end of the index.
    """

    asked: Mapping[str, str]
    index: str
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


def shard_size(num_items: int, min_shards: int = MIN_SHARDS) -> int:
    """Return the number of items of each shard but the last."""
    return min(MOST_ITEMS, max(1, ceil(num_items / min_shards)))


def open_ledger(
    root: SharedFolder,
    asked: Mapping[str, str],
    list_items: Callable[[], Iterable[Sequence[str]]],
    *,
    by: str,
    min_shards: int = MIN_SHARDS,
) -> "ShardLedger | None":
    """Join the shared work in a folder, or begin it.

    Args:
        root: The output folder: a new or empty one, or that of the same work.
        asked: The request, in words.
        list_items: Lists the items, each as a row of texts; it is called by the process that begins.
        by: The command, such as ``predict``.
        min_shards: Shards have fewer items rather than being fewer than this.

    Returns:
        The ledger, or None if the work is finished, see `read_summary`.

    Raises:
        ConfigError: The folder holds something else, or shared work with another request.
        DataError: The folder cannot be created, is inside a dataset, or its ledger is damaged.
        UnreachableError: The folder is at an address whose server fails.
        WriteError: The folder cannot be written.
    """
    root.make()
    folder = root.below(LEDGER)
    _refuse_filled(root)
    claims = WorkClaims(folder.below(_CLAIMS))
    while not root.has(SUMMARY):
        for name in (_CLAIMS, _DONE):
            folder.below(name).make()
        if head := _read_head(folder):
            refuse_another(root.where, head.asked, asked, f"`limner {by}`")
            return ShardLedger(root, head, claims)
        if _try_take_index(claims):
            try:
                if not folder.has(_HEAD) and not root.has(SUMMARY):  # a claim was released just now
                    _begin(root, folder, asked, list_items, claims, by, min_shards)
            except BaseException:
                with suppress(LimnerError):  # the first error is the one to report
                    root.remove(UNFINISHED)
                    _remove_ledger(root)
                raise
            claims.release(_INDEXING)
        else:
            time.sleep(root.wait_seconds)
    _remove_ledger(root)
    return None


def read_summary(root: SharedFolder, asked: Mapping[str, str], *, by: str) -> dict[str, Any] | None:
    """Return the summary of shared work that is finished, or None; remove what is left of its ledger.

    Raises:
        ConfigError: The work had another request.
        DataError: The file is damaged.
        UnreachableError: The folder is at an address whose server fails.
    """
    try:
        found = json.loads(root.read(SUMMARY))
        begun, summary = dict(found["asked"]), dict(found["summary"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, LimnerError):
            raise
        raise _damaged(root, SUMMARY, error) from None
    refuse_another(root.where, begun, asked, f"`limner {by}`")
    root.remove(UNFINISHED)
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

    def __init__(self, root: SharedFolder, head: LedgerHead, claims: WorkClaims) -> None:
        self.root, self.head = root, head
        self.done: frozenset[int] = frozenset()
        self._folder = root.below(LEDGER)
        self._records = self._folder.below(_DONE)
        self._claims = claims

    @property
    def num_done(self) -> int:
        """Number of items in finished shards, at the last look."""
        return sum(map(self.head.items_of, self.done))

    @property
    def is_finished(self) -> bool:
        """Whether all work is done and summed up, by this process or another."""
        return self.root.has(SUMMARY)

    @property
    def is_done(self) -> bool:
        """Whether all shards were finished at the last look."""
        return len(self.done) == self.head.num_shards

    def take(self) -> int | None:
        """Claim a shard: one that no process works on, or one whose process has ended; None without any.

        Raises:
            FileNotFoundError: Another process has finished all work and removed the ledger.
            DataError: Another process has begun the work anew, with other items.
            WriteError: The folder cannot be written.
        """
        # In this order: the record of a finished shard is written before its claim is removed.
        claimed = self._claims.latest()
        self.look()
        self._refuse_replaced()
        missing = [number for number in range(self.head.num_shards) if number not in self.done]
        free = [number for number in missing if _name(number) not in claimed]
        for number in (*free, *(number for number in missing if _name(number) in claimed)):
            if not self._claims.try_take(_name(number), claimed.get(_name(number))):
                continue
            if not self._records.has(_record(number)):
                return number
            self._claims.release(_name(number))
        return None

    def look(self) -> None:
        """Look which shards are finished, without claiming one.

        Raises:
            FileNotFoundError: As in `take`.
        """
        self.done = self._numbers_done()

    def rows(self, number: int) -> list[list[str]]:
        """Return the items of a shard."""
        start, stop = self.head.starts[number : number + 2]
        return [json.loads(line) for line in self._folder.read(self.head.index, start, stop).splitlines()]

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
            DataError: As in `take`.
            WriteError: The folder cannot be written.
        """
        self._refuse_replaced()
        self._records.write(_record(number), "".join(f"{json.dumps(line)}\n" for line in lines))
        self._claims.release(_name(number))

    def release(self, number: int) -> None:
        """Give a shard back that could not be finished."""
        self._claims.release(_name(number))

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield what `commit` was given for each item, in the order of the index."""
        for number in range(self.head.num_shards):
            yield from map(json.loads, self._records.read(_record(number)).splitlines())

    def lines_so_far(self) -> list[dict[str, Any]]:
        """Return what `commit` was given for the items of all shards that are finished now, in their order.

        Raises:
            FileNotFoundError: As in `take`.
        """
        records = (self._records.read(_record(number)) for number in sorted(self._numbers_done()))
        return [json.loads(line) for record in records for line in record.splitlines()]

    def take_finish(self) -> bool:
        """Claim what is left when all shards are done; return whether this process is to do it.

        Shards with a file that is missing or of another size, as after a power cut, are to be done again.
        """
        if not self._claims.try_take(_FINISHING, self._claims.latest().get(_FINISHING)):
            return False
        spoilt = [number for number in range(self.head.num_shards) if not self._is_complete(number)]
        for number in spoilt:
            self._records.remove(_record(number))
        if spoilt:
            self._claims.release(_FINISHING)
        return not spoilt

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Mark the folder as finished and remove the ledger.

        Raises:
            WriteError: The folder cannot be written.
        """
        if self._claims.latest() != {_FINISHING: 0}:  # there are claims of processes that were killed
            self.root.remove_leftovers()
        kept = {"asked": dict(self.head.asked), "summary": dict(summary)}
        self.root.write(SUMMARY, _json_text(kept), durable=True)
        self.root.remove(UNFINISHED)
        _remove_ledger(self.root)

    def release_finish(self) -> None:
        """Let another process finish, since this one could not."""
        self._claims.release(_FINISHING)

    def _is_complete(self, number: int) -> bool:
        """Tell whether the record of a finished shard is whole, and all its files are there."""
        self.beat()
        try:
            lines = [json.loads(line) for line in self._records.read(_record(number)).splitlines()]
        except (FileNotFoundError, ValueError):
            return False
        if len(lines) != self.head.items_of(number):
            return False
        files = (file for line in lines for file in line.get("files", ())) if self.root.loses_files else ()
        return all(self.root.size(name) == size for name, size in files)

    def _numbers_done(self) -> frozenset[int]:
        return frozenset(int(name[:-6]) for name in self._records.names() if name.endswith(".jsonl"))

    def _refuse_replaced(self) -> None:
        """Stop if the ledger was removed, or, on a store where two processes could begin, is another one."""
        head = _read_head(self._folder)
        if head is None:
            raise FileNotFoundError(f"{self._folder.where}/{_HEAD}")
        if head != self.head:
            raise DataError(
                describe(
                    "Another process has begun the same work with other images",
                    where=self.root.where,
                    found=f"{head.num_items} images, of which this process listed {self.head.num_items}",
                    expected="the same images for all processes",
                    fix="Start the same command again; it joins the other process.",
                )
            )


def _remove_ledger(root: SharedFolder) -> None:
    root.remove_folder(LEDGER, first=_HEAD)


def _try_take_index(claims: WorkClaims) -> bool:
    """Claim the listing of the items, and return whether that succeeded."""
    try:
        return claims.try_take(_INDEXING, claims.latest().get(_INDEXING))
    except FileNotFoundError:  # the process that was listing them gave up, and removed the folder
        return False


def _begin(
    root: SharedFolder,
    folder: SharedFolder,
    asked: Mapping[str, str],
    list_items: Callable[[], Iterable[Sequence[str]]],
    claims: WorkClaims,
    by: str,
    min_shards: int,
) -> None:
    """Write the index and, when all is in place, the head."""
    starts, digest = array("Q", [0]), blake2b(digest_size=8)
    with tempfile.TemporaryDirectory(prefix="limner-") as aside:
        path = Path(aside) / "index.jsonl"
        with path.open("wb") as file:
            for row in list_items():
                line = json.dumps(row).encode() + b"\n"
                digest.update(line)
                file.write(line)
                starts.append(file.tell())
                claims.beat()
        index = f"index-{digest.hexdigest()}.jsonl"
        folder.copy_in(path, index)
    num_items = len(starts) - 1
    size = shard_size(num_items, min_shards)
    root.write(UNFINISHED, record_text(by, {**asked, **SHARED}))
    every = [*starts[:-1:size], starts[-1]]
    head = {"asked": dict(asked), "index": index, "num_items": num_items, "size": size, "starts": every}
    folder.write(_HEAD, _json_text(head), durable=True)


def _read_head(folder: SharedFolder) -> LedgerHead | None:
    try:
        found = json.loads(folder.read(_HEAD))
        starts = tuple(map(int, found["starts"]))
        size = int(found["size"])
        return LedgerHead(dict(found["asked"]), str(found["index"]), int(found["num_items"]), size, starts)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, LimnerError):
            raise
        raise _damaged(folder, _HEAD, error) from None


def _json_text(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _damaged(folder: SharedFolder, name: str, error: Exception) -> DataError:
    return DataError(
        describe(
            "The record of shared work cannot be read",
            where=f"{folder.where}/{name}",
            found=f"{type(error).__name__}: {error}",
            fix="Delete the output folder, and start the command again.",
        )
    )


def _refuse_filled(root: SharedFolder) -> None:
    """Refuse a folder that holds anything but shared work.

    Raises:
        ConfigError: It does.
    """
    try:
        names = root.names()
    except FileNotFoundError:
        names = []
    if names and LEDGER not in names and SUMMARY not in names:
        raise ConfigError(
            describe(
                "Processes that share their work need an output folder of their own",
                where=root.where,
                found=f"{names[0]} in it",
                expected="a folder that does not exist yet, an empty one, or one of the same shared work",
                fix="Choose another --out, or omit --processes.",
            )
        )


def _name(number: int) -> str:
    return f"{number:06d}"


def _record(number: int) -> str:
    return f"{_name(number)}.jsonl"
