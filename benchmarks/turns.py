"""Contestants that take turns: each in a process of its own, one measured step at a time.

A machine that drifts then slows all of them, and none finds the caches warm or the memory taken by another.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

READY = "ready"
"""What a contestant prints when it is about to begin."""


class Turn(NamedTuple):
    """One step: how long it took, and how far memory rose above what it was before the first."""

    seconds: float
    peak_mib: float


def serve(step: Callable[[], None]) -> None:
    """Take one measured step for each line on stdin, after a first one that is not measured."""
    before = _memory_mib("VmRSS")
    step()
    print(READY, flush=True)
    for _ in sys.stdin:
        Path("/proc/self/clear_refs").write_text("5")  # the highest so far begins anew (Linux)
        start = time.perf_counter()
        step()
        print(time.perf_counter() - start, _memory_mib("VmHWM") - before, flush=True)


def _memory_mib(row: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(row))


def take_turns(commands: Sequence[Sequence[str]], *, rounds: int) -> list[list[Turn]]:
    """Return the turns of scripts that `serve`, given with their arguments."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for command in commands
    ]
    for worker, command in zip(workers, commands, strict=True):
        while (line := worker.stdout.readline()) != f"{READY}\n":  # libraries print while they are imported
            if not line:
                raise SystemExit(f"This contestant stopped before it began: {' '.join(command)}")
    turns: list[list[Turn]] = [[] for _ in workers]
    for _ in range(rounds):
        for worker, taken in zip(workers, turns, strict=True):
            worker.stdin.write("go\n")
            worker.stdin.flush()
            taken.append(Turn(*map(float, worker.stdout.readline().split())))
    for worker in workers:
        worker.stdin.close()
        worker.wait()
    return turns


def ratio_cells(turns: Sequence[Sequence[Turn]]) -> str:
    """Return cells of a table: the first contestant's time and memory, then each peer's and both ratios.

    The ratios are the first one's by the peer's: of times the median over the rounds, of memory that of the
    highest peaks.
    """
    ours, *peers = turns
    cells = [_cell(ours)]
    for taken in peers:
        time_ratio = statistics.median(a.seconds / b.seconds for a, b in zip(ours, taken, strict=True))
        memory_ratio = max(turn.peak_mib for turn in ours) / max(turn.peak_mib for turn in taken)
        cells.append(f"{_cell(taken)} | {time_ratio:.2f} | {memory_ratio:.2f}")
    return " | ".join(cells)


def _cell(taken: Sequence[Turn]) -> str:
    seconds = statistics.median(turn.seconds for turn in taken)
    return f"{seconds:.2f} s, {max(turn.peak_mib for turn in taken):.0f} MiB"
