"""Work on a ledger of shards in several processes: those of this command, and those that join it."""

import multiprocessing
import os
import pickle
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Any

from limner.core.errors import ConfigError, LimnerError
from limner.devices.host import cores_of_each
from limner.storage.shard_ledger import ShardLedger

THREADS = "OMP_NUM_THREADS"
"""Environment variable with the number of threads of a process."""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as of a shell."""


def work_on(
    ledger: ShardLedger, do_shard: Callable[[int], Iterator[None]], sum_up: Callable[[], Mapping[str, Any]]
) -> Iterator[None]:
    """Work on shards until all items are done, also those of other processes; yield once for each item.

    Args:
        ledger: The work.
        do_shard: Does a shard that is claimed, commits it, and yields after each item.
        sum_up: Does what is left when all shards are done, and returns the summary; one process calls it.

    Raises:
        UnreachableError: A server fails; the same work continues.
        WriteError: A file cannot be written; the same work continues.
    """
    shown = ShownItems()
    while not ledger.is_finished:
        _stop_without_parent()
        yield from shown.up_to(ledger.num_done)  # by other processes
        try:
            number = ledger.take()
            if number is not None:
                yield from shown.each(_do(ledger, number, do_shard))
            elif not (ledger.is_done and _finish(ledger, sum_up)):
                time.sleep(ledger.root.wait_seconds)
        except FileNotFoundError:
            if not ledger.is_finished:
                raise
    yield from shown.up_to(ledger.head.num_items)


class ShownItems:
    """Counts the items whose progress is shown: one yield each, whichever process did them."""

    def __init__(self) -> None:
        self._count = 0

    def each(self, items: Iterable[None]) -> Iterator[None]:
        """Yield once for each item that this process does."""
        for _ in items:
            self._count += 1
            yield

    def up_to(self, count: int) -> Iterator[None]:
        """Yield until as many items are shown; not at all if they are already."""
        while self._count < count:
            self._count += 1
            yield


def _do(ledger: ShardLedger, number: int, do_shard: Callable[[int], Iterator[None]]) -> Iterator[None]:
    """Process a shard; after an error, release it for other processes."""
    try:
        yield from do_shard(number)
    except BaseException:
        ledger.release(number)
        raise


def _finish(ledger: ShardLedger, sum_up: Callable[[], Mapping[str, Any]]) -> bool:
    """Sum up, unless another process does; return whether this one did."""
    if not ledger.take_finish():
        return False
    try:
        ledger.finish(sum_up())
    except BaseException:
        ledger.release_finish()
        raise
    return True


@contextmanager
def started(joins: Sequence[Callable[[], object]]) -> Iterator[Sequence[SpawnProcess]]:
    """Start processes that work too; they are stopped when the block ends, since all work is done then.

    Args:
        joins: What each of them calls.
    """
    helpers: list[SpawnProcess] = []
    context = multiprocessing.get_context("spawn")
    try:
        with fewer_threads(len(joins) + 1):
            for join in joins:
                helper = context.Process(target=_join, args=(join,))
                helper.start()
                helpers.append(helper)
        yield helpers
    finally:
        for helper in helpers:
            helper.terminate()
        for helper in helpers:
            helper.join()


@contextmanager
def fewer_threads(processes: int) -> Iterator[None]:
    """Give processes that are started in the block their part of the cores, unless the user chose."""
    if THREADS in os.environ:
        yield
        return
    os.environ[THREADS] = str(cores_of_each(processes))
    try:
        yield
    finally:
        del os.environ[THREADS]


def refuse_count(processes: int | None) -> None:
    """Refuse a number of processes that is out of range.

    Raises:
        ConfigError: It is less than 1.
    """
    if processes is not None and processes < 1:
        raise ConfigError(f"--processes is a number of processes, 1 or more; found {processes}.")


def refuse_unsendable(join: Callable[[], object], fix: str) -> None:
    """Refuse a request that cannot be sent to another process.

    Args:
        join: What the other process calls.
        fix: What the user can do.

    Raises:
        ConfigError: It has an object or function in it.
    """
    try:
        pickle.dumps(join)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ConfigError(f"The work cannot be sent to other processes ({error}). {fix}") from None


def num_lost(helpers: Sequence[SpawnProcess]) -> int:
    """Return the number of processes that have ended early; the others finished their work."""
    return sum(helper.exitcode not in (None, 0) for helper in helpers)


def lost_words(number: int) -> str:
    """Return what to say about processes that have ended early."""
    if number == 1:
        return "1 process ended early; the others finished its work"
    return f"{number} processes ended early; the others finished their work"


def _join(join: Callable[[], object]) -> None:
    """Work in a process that was started for it; its error ends it with a message."""
    signal.signal(signal.SIGTERM, _end)
    try:
        join()
    except LimnerError as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:  # Ctrl-C reaches all processes of a terminal, and the command says it
        raise SystemExit(INTERRUPTED) from None


def _end(number: int, frame: FrameType | None) -> None:
    """End, with claims released and temporary files removed."""
    raise SystemExit(128 + number)


def _stop_without_parent() -> None:
    """End a process that was started to help, and whose command was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        raise SystemExit("The command that started this process has ended.")
