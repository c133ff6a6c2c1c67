"""Kills, damage and full disks at random, for minutes: nothing is lost, and nothing differs silently.

`make soak` divides MINUTES among the tests; without LIMNER_SOAK_MINUTES each takes one turn. A test makes all
its turns, then fails with the first faults. A fault names the seed of its turn; LIMNER_SOAK_SEED repeats it.
The counts are printed at the end.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked here")

SOURCE = Path(__file__).parents[2] / "src"
RANK_KILLER = Path(__file__).with_name("rank_kills.py")

MINUTES = float(os.environ.get("LIMNER_SOAK_MINUTES", "0"))
FIRST_SEED = int(os.environ.get("LIMNER_SOAK_SEED", "0"))
COMMANDS = ("train", "predict", "convert", "split", "evaluate", "report", "tune", "compare-networks")
COMMANDS += ("plan", "export", "import", "folds", "corrections", "explain", "evaluate --out", "compare")
COMMANDS += (
    "browse",
    "check --page",
    "drafts",
    "uncertain",
    "self-training",
    "predict shared",
    "predict packed",
)
COMMANDS += ("webdataset",)
TASKS = ("classification", "detection", "text-detection", "volumes")
OF_TASKS = tuple(f"{task}: {verb}" for task in TASKS for verb in ("train", "predict", "evaluate"))
JOBS = (*COMMANDS, *OF_TASKS, "volumes: predict everything", "volumes: explain", "volumes: convert")
"""Jobs of `jobs.py`, which are killed, and whose disks are full."""

DAMAGE = {"formats": 400, "data": 20, "runs": 20, "models": 20, "checkpoints": 20, "options": 40, "tasks": 20}
"""Kind -> number of attempts in one process."""
QUICK = ("convert", "report", "formats", "options")
"""Jobs and kinds of damage of the turn in `make test`."""

NUM_TURNS = 2 * len(JOBS) + 2 * len(DAMAGE)
"""Parts of MINUTES: two a test; the full disks take as long as they take."""


def turns():
    """Yield seeds until the time of a test is over, at least one."""
    end = time.monotonic() + 60 * MINUTES * 2 / NUM_TURNS
    for seed in count(FIRST_SEED):
        yield seed
        if time.monotonic() >= end:
            return


def only_in_soak(name):
    """Skip most jobs and kinds of damage in `make test`."""
    if not MINUTES and name not in QUICK:
        pytest.skip("takes seconds; make soak")


class Faults:
    """Counts of a test, and its faults, with which it ends."""

    def __init__(self, counts, what):
        self.total, self.what, self.found = counts[what], what, []

    def add(self, number=1):
        self.total[0] += number

    def fault(self, said):
        self.total[1] += 1
        self.found.append(said)
        print(f"FAULT {self.what}: {said}", flush=True)

    def end(self):
        print(f"{self.what}: {self.total[0]}, faults {self.total[1]}", flush=True)
        if self.found:
            pytest.fail(f"{len(self.found)} faults, the first ones:\n" + "\n\n".join(self.found[:5]))


@contextmanager
def job_folder(parent, worker, job, given):
    """A new folder of a job, with what it changes."""
    folder = parent / "job"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    worker.done("prepare", folder, job=job, given=str(given))
    yield folder


def undisturbed(parent, worker, job, given):
    """Return what a job writes, how many files it changes, and its seconds."""
    with job_folder(parent, worker, job, given) as folder:
        _, ended = worker.done("start", folder, job=job, given=str(given))
        content, _ = worker.done("content", folder, job=job)
    assert content
    return content, ended["events"], ended["seconds"]


def difference(expected, found):
    """Name the files in which two outputs differ."""
    names = expected.keys() | found.keys()
    return sorted(
        f"{name} {'is missing' if name not in found else 'is new' if name not in expected else 'differs'}"
        for name in names
        if expected.get(name) != found.get(name)
    )


@pytest.mark.parametrize("job", JOBS)
def test_kills_lose_nothing(worker, given, counts, tmp_path, job):
    only_in_soak(job)
    expected, num_events, seconds = undisturbed(tmp_path, worker, job, given)
    again, _, _ = undisturbed(tmp_path, worker, job, given) if MINUTES else (expected, 0, 0)
    assert not difference(expected, again), "what is compared depends on the time"
    kills, outputs = Faults(counts, f"kills: {job}"), counts[f"outputs after kills: {job}"]
    for seed in turns():
        draw = np.random.default_rng(seed)
        with job_folder(tmp_path, worker, job, given) as folder:
            ended = disturb(worker, job, given, folder, draw, num_events, seconds, kills)
            if ended["ended"] != "done":
                kills.fault(f"seed {seed}: {ended.get('said', ended)}")
                continue
            outputs[0] += 1
            found, _ = worker.done("content", folder, job=job)
            if found != expected:
                kills.fault(f"seed {seed}: {', '.join(difference(expected, found))}")
    kills.end()


def disturb(worker, job, given, folder, draw, num_events, seconds, kills):
    """Kill a job at random files or moments, one to five times, then let it end."""
    function = "start"
    for _ in range(draw.integers(1, 6)):
        at = int(draw.integers(1, num_events + 1))
        options = {"kill_at": at} if draw.integers(2) else {"kill_after": float(draw.uniform(0, seconds))}
        ended = worker.call(function, folder, job=job, given=str(given), options=options)
        if ended["ended"] != "killed":
            return ended
        kills.add()
        function = "again"
    return worker.call(function, folder, job=job, given=str(given))


@pytest.fixture
def disk(tmp_path):
    """A disk of its own, and a function that sets its size in KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512m", "tmpfs", str(folder)], capture_output=True, check=False
    ) if shutil.which("mount") and os.geteuid() == 0 else None  # fmt: skip
    if made is None or made.returncode:
        pytest.skip("only root can make a disk of its own")

    def resize(kibibytes):
        subprocess.run(["mount", "-o", f"remount,size={kibibytes}k", str(folder)], check=True)

    yield folder, resize
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


SIZES = 20
"""Number of sizes of the full disk, from almost nothing to almost enough."""


@pytest.mark.parametrize("job", JOBS)
def test_full_disks_lose_nothing(worker, given, counts, disk, job):
    only_in_soak(job)
    folder, resize = disk
    expected, _, _ = undisturbed(folder, worker, job, given)
    full = Faults(counts, f"full disks: {job}")
    highest = high_water(folder, worker, job, given)
    for number in range(1, SIZES + 1) if MINUTES else (7,):
        with job_folder(folder, worker, job, given) as place:
            before = used(folder)
            resize(before + max(4, (highest - before) * number // (SIZES + 1)))
            ended = worker.call("start", place, job=job, given=str(given))
            resize(512 * 1024)
            full.add()
            if ended["ended"] not in ("disk", "done", "refused"):
                full.fault(f"size {number}: {ended.get('said', ended)}")
                continue
            ended = worker.call("again", place, job=job, given=str(given))
            found, _ = worker.done("content", place, job=job)
            if ended["ended"] != "done" or found != expected:
                full.fault(f"size {number}: {ended.get('said', '')} {', '.join(difference(expected, found))}")
    full.end()


def used(folder):
    """Return the KiB in use on a disk."""
    return shutil.disk_usage(folder).used // 1024


def high_water(folder, worker, job, given):
    """Return the KiB in use after a job."""
    with job_folder(folder, worker, job, given) as place:
        worker.done("start", place, job=job, given=str(given))
        return used(folder)


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_never_silent(worker, given, counts, tmp_path, kind):
    only_in_soak(kind)
    made = Faults(counts, f"damage: {kind}")
    size = DAMAGE[kind] if MINUTES else max(2, DAMAGE[kind] // 10)
    for turn in turns():
        folder = tmp_path / "batch"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        ended = worker.call(
            "batch", folder, module="damage", options={"most_seconds": 60 + 40 * size}, kind=kind,
            given=str(given), first=turn * size, count=size, seconds=120,
        )  # fmt: skip
        if ended["ended"] != "done":
            seed = (folder / "progress.txt").read_text("ascii")
            made.add(int(seed) - turn * size + 1)
            made.fault(f"seed {seed}: {ended}")
            continue
        made.add(ended["value"]["made"])
        for seed, attempted, said in ended["value"]["faults"]:
            made.fault(f"seed {seed}: {attempted}\n{said}")
    made.end()


RANK_KILLS = 50
"""Number of kills of one of two processes that train together."""


def test_kills_of_one_of_two_processes_lose_nothing(counts, tmp_path):
    if not MINUTES:
        pytest.skip("takes minutes; make soak")
    kills = Faults(counts, "kills of one of two processes")
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(RANK_KILLER), str(tmp_path), str(RANK_KILLS), str(FIRST_SEED)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    kills.add(found["kills"])
    for fault in found["faults"]:
        kills.fault(fault)
    kills.end()
