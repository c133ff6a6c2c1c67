"""Watch over processes that train together: each learns soon that another one died or hangs, and why.

Collective operations wait for every process, some of them for hours. So a thread of each process writes on a
board that all share where its main thread is, every few seconds, and reads where the others are. A process
that fails notes its reason there; one that no longer writes is dead, and one that is behind the others and
does not move hangs. Then every process names it and ends, and the run can be resumed.
"""

import json
import os
import platform
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from math import inf
from pathlib import Path

from torch import distributed

from limner.core.errors import Description, LimnerError, StoppedBySignal, TrainingError, describe
from limner.core.printable import printable
from limner.devices.processes import is_launched_by_limner
from limner.training.process_board import Board, StoreBoard

PATIENCE = 10.0
"""A step may take this many times as long as the slowest one before it, until it counts as hanging."""

SLOW_STEPS = 3
"""Number of first steps that may be slow: files are read, kernels chosen, and networks compiled."""

STEP = "step"
"""First word of the places whose times are compared."""

ENDED = "its end"
"""Place of a process that has done its part."""

FAILED = "failed"
"""Key of the first failure on the board."""

EXIT_CODE = 1
"""Exit code of a process that its watch ends: not that of an error to fix, so that launchers start again."""

EXCHANGES = "torch/distributed/"
"""Part of the line of code at which a process waits for others."""

EXCHANGE_SIGNS = ("gloo", "nccl", "connection closed by peer", "connection reset by peer", "broken pipe")
"""Parts of the messages of collective operations that another process has left."""


@dataclass(frozen=True)
class Pace:
    """Times of a watch, in seconds.

    Attributes:
        beat: Pause between two reads of the board.
        silence: A process that has not written for so long is dead, or its machine cannot be reached.
        stall: A process that has not moved for so long, and for which others wait, hangs.
        first_stall: The same in slow first steps.
        grace: How long the main thread may take to notice a failure by itself, before its process is ended.
    """

    beat: float = 2.0
    silence: float = 20.0
    stall: float = 40.0
    first_stall: float = 600.0
    grace: float = 6.0


@dataclass(frozen=True)
class ProcessPlace:
    """Where a process is.

    Attributes:
        host: Name of its machine.
        phase: Number of places where it has been; all processes come to the same ones in the same order.
        moves: Number of signs of life of its main thread.
        what: The place, in words.
        limit: Seconds after which it hangs if it does not move.
        line: The line of code at which its main thread waits or works.
    """

    host: str
    phase: int = 0
    moves: int = 0
    what: str = "the start"
    limit: float = inf
    line: str = ""


@dataclass
class _Seen:
    """What the board showed of another process, and when it changed."""

    text: str
    place: ProcessPlace
    heard: float
    moved: float


class ProcessWatch:
    """Notes where this process is, and watches the others inside `watched`.

    Args:
        run: The run's folder, for messages.
        board: Shared with the other processes; None for a process alone.
        rank: Rank of this process.
        num_processes: Number of processes.
        pace: Times, shorter in tests.
        clock: Returns seconds, and never goes back.
        leave: Ends this process at once.
    """

    def __init__(
        self,
        run: Path,
        board: Board | None = None,
        *,
        rank: int = 0,
        num_processes: int = 1,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.monotonic,
        leave: Callable[[int], object] = os._exit,
    ) -> None:
        self._run, self._board, self._rank, self._pace = run, board, rank, pace or Pace()
        self._clock, self._leave = clock, leave
        self._main, self._parent = threading.get_ident(), os.getppid()
        self._place = ProcessPlace(platform.node())
        self._longest, self._steps = 0.0, 0
        self._moved = self._heard = now = clock()
        others = (other for other in range(num_processes) if other != rank)
        self._seen = {other: _Seen("", ProcessPlace("an unknown machine"), now, now) for other in others}
        self._number = 0
        self._failure: Mapping[str, object] = {}
        self._is_known, self._is_over = threading.Event(), threading.Event()

    def at(self, what: str, *, allowed: float = 0.0) -> None:
        """Note that the main thread has come to a place; all processes come to the same ones in this order.

        Args:
            what: What happens there, for messages, such as ``step 5``.
            allowed: Seconds that it may take at least, however fast steps are.
        """
        self.move()
        is_slow = allowed or self._steps <= SLOW_STEPS
        least = self._pace.first_stall if is_slow else self._pace.stall
        limit = max(least, allowed, PATIENCE * self._longest)
        self._place = replace(self._place, phase=self._place.phase + 1, what=what, limit=limit)

    def at_step(self, step: int) -> None:
        """Note that the main thread has its batch of a step."""
        self._steps += 1
        self.at(f"{STEP} {step}")

    def expect_slow_steps(self) -> None:
        """Allow the next steps as much time as the first ones, such as when the network is compiled."""
        self._steps = 0

    def at_batch_of(self, step: int) -> None:
        """Note that the main thread waits for the batch of a step."""
        self.at(f"{STEP} {step}, waiting for its batch")

    def at_exchange_of(self, step: int) -> None:
        """Note that the main thread exchanges the gradients of a step, for which it waits for the others."""
        self.at(f"{STEP} {step}, exchanging gradients")

    def move(self) -> None:
        """Note that the main thread makes progress at the same place."""
        now = self._clock()
        if self._place.what.startswith(STEP) and self._steps > SLOW_STEPS:
            self._longest = max(self._longest, now - self._moved)
        self._place, self._moved = replace(self._place, moves=self._place.moves + 1), now

    def look(self) -> None:
        """Write where this process is, read where the others are, and note a failure that they show.

        Raises:
            Exception: The board cannot be reached.
        """
        assert self._board is not None
        now, own = self._clock(), self._place
        if now - self._moved > self._pace.stall / 2:
            own = replace(own, line=_line_of(self._main))
        self._write(own)
        found = self._board.read([FAILED, *map(_key, self._seen)])
        self._heard = self._clock()
        if FAILED in found:
            self._know(json.loads(found[FAILED]))
            return
        for other, seen in self._seen.items():
            text = found.get(_key(other), "")
            if text != seen.text:
                _update(seen, text, now)
        self._judge(own, now)

    def _write(self, place: ProcessPlace) -> None:
        assert self._board is not None
        self._number += 1
        self._board.write(_key(self._rank), json.dumps([self._number, asdict(place)]))

    def _judge(self, own: ProcessPlace, now: float) -> None:
        """Note a process that is silent, or that hangs."""
        working = {other: seen for other, seen in self._seen.items() if seen.place.what != ENDED}
        for other, seen in working.items():
            if now - seen.heard > self._pace.silence:
                reason = f"it has not answered for {now - seen.heard:.0f} s: killed, or its machine is down"
                self._note(other, seen.place.host, reason)
                return
        places = {self._rank: (own, self._moved)}
        places |= {other: (seen.place, seen.moved) for other, seen in working.items()}
        last = min(place.phase for place, _ in places.values())
        behind = {rank: (p, now - moved) for rank, (p, moved) in places.items() if p.phase == last}
        if all(still > place.limit for place, still in behind.values()):
            # At the same place, such as a step of a sharded model, some only wait for the one that hangs.
            rank, (place, still) = min(behind.items(), key=lambda item: EXCHANGES in item[1][0].line)
            where = "; ".join(f"process {r} at {p.line or 'an unknown line'}" for r, (p, _) in behind.items())
            self._note(rank, place.host, f"it hangs: at {place.what} for {still:.0f} s ({where})")

    def _note(self, rank: int, host: str, reason: str) -> None:
        assert self._board is not None
        self._board.write_first(FAILED, json.dumps({"rank": rank, "host": host, "reason": reason}))

    def _know(self, failure: Mapping[str, object]) -> None:
        self._failure = failure
        self._is_known.set()

    def start(self) -> None:
        """Watch the others in a thread."""
        if self._board is not None:
            self._thread = threading.Thread(target=self._watch, name="limner-watch", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._is_over.set()

    def _watch(self) -> None:
        while not self._is_over.wait(self._pace.beat) and not self._is_known.is_set():
            try:
                self.look()
            except Exception:  # of whatever kind the connection raises: the board is gone
                if self._clock() - self._heard > self._pace.silence:
                    reason = "the first process, through which the others talk, does not answer: killed, or "
                    self._know({"rank": 0, "host": "its machine", "reason": f"{reason}its machine is down"})
            if is_launched_by_limner() and os.getppid() != self._parent:
                reason = "`limner train`, which started the processes, was killed"
                self._know({"rank": self._rank, "host": self._place.host, "reason": reason})
        if self._is_known.is_set() and not self._is_over.wait(self._pace.grace):
            print(f"limner: {printable(str(self._error()))}", file=sys.stderr, flush=True)
            self._leave(EXIT_CODE)

    def _error(self) -> TrainingError:
        rank, host = self._failure["rank"], self._failure["host"]
        return TrainingError(
            describe(
                "Training stopped, because one of the processes failed",
                where=f"process {rank} of {len(self._seen) + 1} (counted from 0) on {host}",
                found=str(self._failure["reason"]),
                expected="all processes to reach the end",
                fix=f"Resume with: limner train --resume {self._run}. What was saved before is intact.",
            )
        )

    def tell_end(self) -> None:
        """Note that this process has done its part, so that the others do not miss it."""
        self.stop()
        if self._board is not None:
            self._thread.join(self._pace.silence)  # it would write the place of before
            with suppress(Exception):  # the process that keeps the board has ended too
                self._write(replace(self._place, what=ENDED))

    def known_failure(self, error: BaseException) -> TrainingError | None:
        """Return the failure of which an error is the consequence; None if the error is its own."""
        if self._board is None or not is_exchange_error(error):
            return None
        self._is_known.wait(self._pace.silence + 3 * self._pace.beat)
        return self._error() if self._failure else None

    def tell_others(self, error: BaseException) -> None:
        """Note why this process fails; return when the others had time to read it."""
        if self._board is None:
            return
        with suppress(Exception):  # the process that keeps the board is gone, and all know that
            self._note(self._rank, self._place.host, _reason(error))
            if self._rank == 0:  # it may keep the board
                time.sleep(1.5 * self._pace.beat)


@contextmanager
def watched_processes(run: Path) -> Iterator[ProcessWatch]:
    """Watch the processes of PyTorch's group, unless this one is alone or has no address where they meet.

    Args:
        run: The run's folder, for messages.

    Raises:
        TrainingError: As in `watched`.
    """
    is_together = distributed.is_available() and distributed.is_initialized() and "MASTER_ADDR" in os.environ
    rank, processes = (distributed.get_rank(), distributed.get_world_size()) if is_together else (0, 1)
    watch = ProcessWatch(run, StoreBoard() if processes > 1 else None, rank=rank, num_processes=processes)
    with watched(watch):
        yield watch


@contextmanager
def watched(watch: ProcessWatch) -> Iterator[None]:
    """Watch the other processes inside the block, and tell them why it fails.

    Raises:
        TrainingError: Another process failed; the message names it and the reason.
    """
    watch.start()
    try:
        yield
        watch.tell_end()
    except StoppedBySignal:  # of all processes together
        raise
    except BaseException as error:
        failure = watch.known_failure(error)
        if failure is not None:
            raise failure from error
        watch.tell_others(error)
        raise
    finally:
        watch.stop()


def is_exchange_error(error: BaseException) -> bool:
    """Return whether a collective operation failed; PyTorch has no class for errors of gloo."""
    if isinstance(error, distributed.DistError):
        return True
    is_foreign = isinstance(error, RuntimeError) and not isinstance(error, LimnerError)
    return is_foreign and any(sign in str(error).lower() for sign in EXCHANGE_SIGNS)


def _key(rank: int) -> str:
    return f"place/{rank}"


def _update(seen: _Seen, text: str, now: float) -> None:
    """Take over what another process has written."""
    place = ProcessPlace(**json.loads(text)[1])
    if (place.phase, place.moves) != (seen.place.phase, seen.place.moves):
        seen.moved = now
    seen.text, seen.place, seen.heard = text, place, now


def _line_of(thread: int) -> str:
    """Return file, line and function where a thread is."""
    frame = sys._current_frames().get(thread)
    if frame is None:
        return ""
    place = traceback.extract_stack(frame, 1)[0]
    return f"{Path(place.filename).as_posix()}:{place.lineno} in {place.name}"


def _reason(error: BaseException) -> str:
    """Return an error in one line."""
    said = error.args[0] if error.args else ""
    if isinstance(said, Description):
        return f"{said.what}: {said.found or said.where}"
    first = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
