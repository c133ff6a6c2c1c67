"""Trainings that processes share, each of them in one process: the trials of a search, networks to compare.

They are the items of a ledger, see `limner.storage.shard_ledger`. A process that is killed loses nothing but
the steps since the last checkpoint of its training, which another process resumes.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from limner.api.shared_work import lost_words, num_lost, refuse_unsendable, started, work_on
from limner.core.execution import Execution
from limner.core.watchers import Watchers
from limner.storage.shard_ledger import ShardLedger, open_ledger, read_summary
from limner.storage.shared_folder import DiskFolder

WORK = ".limner-work"
"""Name of the folder of ledgers."""

LOOK_SECONDS = 5.0
"""Seconds between two checks whether the claim of a training has to be renewed."""

Line = dict[str, Any]
"""The result of a training, as JSON-ready values."""


def run_trials(
    root: Path,
    asked: Mapping[str, str],
    rows: Sequence[Sequence[str]],
    train: Callable[[Sequence[str]], Line],
    *,
    by: str,
    after: Callable[[Line, list[Line]], None],
) -> list[Line]:
    """Train together with all processes that work in the same folder; return when all trainings are done.

    Args:
        root: The folder of the ledger.
        asked: The request, in words.
        rows: The trainings, each as a row of texts; those of the process that begins are used.
        train: Trains one of them.
        by: The command, such as ``tune``.
        after: Called with the result of a training when it is recorded, and with all results known then.

    Raises:
        ConfigError: The folder holds other work.
        WriteError: A file cannot be written; the same call continues.
    """
    place = DiskFolder(root)
    ledger = open_ledger(place, asked, lambda: rows, by=by)
    if ledger is not None:
        do = partial(_train_shard, ledger, train=train, after=after)
        with _ends_with_its_command():
            for _ in work_on(ledger, do, lambda: {"lines": [*ledger.lines()]}):
                pass
    summary = read_summary(place, asked, by=by)
    assert summary is not None, "the ledger is removed when its summary is written"
    return list(summary["lines"])


@contextmanager
def helping(join: Callable[..., object], devices: Sequence[str], execution: Execution) -> Iterator[None]:
    """Start a process for each device but the first, which is that of this process.

    Args:
        join: What the others call, with their ``device``.
        devices: The device of each process.
        execution: Whose watchers are told how many of them ended early.

    Raises:
        ConfigError: The request cannot be sent to other processes.
    """
    if len(devices) > 1:
        refuse_unsendable(join, "Pass the data by its path, and no objects that cannot be pickled.")
    with started([partial(join, device=device) for device in devices[1:]]) as helpers:
        yield
        if lost := num_lost(helpers):
            Watchers(execution.watchers).say(lost_words(lost))


def _train_shard(
    ledger: ShardLedger,
    number: int,
    train: Callable[[Sequence[str]], Line],
    after: Callable[[Line, list[Line]], None],
) -> Iterator[None]:
    lines = []
    for row in ledger.rows(number):
        with _beating(ledger):
            lines.append(train(row))
        yield
    ledger.commit(number, lines)
    for line in lines:
        after(line, _known_lines(ledger))


def _known_lines(ledger: ShardLedger) -> list[Line]:
    try:
        return ledger.lines_so_far()
    except FileNotFoundError:  # another process has finished all work just now
        return []


@contextmanager
def _beating(ledger: ShardLedger) -> Iterator[None]:
    """Renew the claims of this process while it trains."""

    def beat(is_over: threading.Event) -> None:
        while not is_over.wait(LOOK_SECONDS):
            ledger.beat()

    with _meanwhile(beat):
        yield


@contextmanager
def _ends_with_its_command() -> Iterator[None]:
    """Ask a process that was started to help to save its training and end, when its command was killed."""
    parent = multiprocessing.parent_process()
    if parent is None:
        yield
        return
    sentinel = parent.sentinel

    def look(is_over: threading.Event) -> None:
        while not is_over.is_set():
            if wait([sentinel], timeout=1.0):
                os.kill(os.getpid(), signal.SIGTERM)
                return

    with _meanwhile(look):
        yield


@contextmanager
def _meanwhile(watch: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run a function in a thread during the block; it returns soon after its event is set."""
    is_over = threading.Event()
    thread = threading.Thread(target=watch, args=(is_over,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
