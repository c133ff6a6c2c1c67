"""The process that forks for each call, and the counts that are printed at the end."""

import json
import os
import subprocess
import sys
import threading
from collections import defaultdict
from pathlib import Path

import pytest

WORKER = Path(__file__).with_name("worker.py")
SOURCE = Path(__file__).parents[2] / "src"

MOST_SECONDS = 300
"""Longest call of a job; they take a few seconds on an idle machine."""


class Worker:
    """Calls of `jobs.py` and `damage.py`, each in a process of its own; see `worker.py`."""

    def __init__(self):
        environment = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        self._lock = threading.Lock()

    def call(self, function, folder, *, module="jobs", options=None, **arguments):
        """Run a function in a folder, and return how it ended.

        `options` are `most_seconds`, `kill_at` (number of a change on disk), `kill_after` (seconds), `learn`.
        """
        asked = {
            **{"module": module, "function": function, "folder": str(folder), "arguments": arguments},
            **{"most_seconds": MOST_SECONDS, **(options or {})},
        }
        with self._lock:
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def done(self, function, folder, **arguments):
        """Run a function that has to succeed, and return its value and how it ended."""
        ended = self.call(function, folder, **arguments)
        assert ended["ended"] == "done", ended.get("said", ended)
        return ended["value"], ended

    def close(self):
        self._process.stdin.close()
        self._process.wait(MOST_SECONDS)


@pytest.fixture(scope="session")
def worker():
    found = Worker()
    yield found
    found.close()


@pytest.fixture(scope="session")
def given(worker, request, tmp_path_factory):
    """The data and runs on which the jobs work; of other tasks, those that the chosen tests need."""
    folder = tmp_path_factory.mktemp("given")
    worker.done("inputs", folder, options={"learn": True})
    if float(os.environ.get("LIMNER_SOAK_MINUTES", "0")) > 0:
        chosen = " ".join(item.name for item in request.session.items)
        for name in worker.done("task_names", folder)[0]:
            if f"[{name}: " in chosen or "[tasks]" in chosen:
                worker.done("task_inputs", folder, options={"learn": True}, name=name)
    return folder


COUNTS = defaultdict(lambda: [0, 0])
"""What was done -> how often, and how many faults there were."""


@pytest.fixture(scope="session")
def counts():
    return COUNTS


def pytest_terminal_summary(terminalreporter):
    if COUNTS:
        terminalreporter.write_line("| what | how often | faults |")
        terminalreporter.write_line("| --- | ---: | ---: |")
        for what, (number, faults) in COUNTS.items():
            terminalreporter.write_line(f"| {what} | {number} | {faults} |")
