"""Seconds of a training step while other programs use the cores: the default against fixed threads.

    python benchmarks/busy_machine.py [--steps 60] [--cores 2]

The images and the plan of `limner demo`, beside nothing, one and two busy loops, a second training of the
same kind, and four busy threads of another PyTorch program. Each cell is a process of its own; the median
is over the second half of its steps, when the default has found its number of threads. Give it the machine
alone.
"""

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NUCLEI = Path(__file__).parents[1] / "src/limner/example/nuclei"

LOOP = "while True: pass"
TORCH = "import torch; torch.set_num_threads(4); a = torch.rand(2000, 2000)\nwhile True: a @ a"

LOADS = {
    "nothing": [],
    "one busy loop": [[sys.executable, "-c", LOOP]],
    "two busy loops": [[sys.executable, "-c", LOOP]] * 2,
    "a second training of the same kind": [["train"]],
    "four busy threads of another PyTorch program": [[sys.executable, "-c", TORCH]],
}

COLUMNS = {
    "default": {},
    "fixed, active waiting": {"OMP_NUM_THREADS": "{cores}", "OMP_WAIT_POLICY": "ACTIVE"},
    "fixed, passive waiting": {"OMP_NUM_THREADS": "{cores}", "OMP_WAIT_POLICY": "PASSIVE"},
    "1 thread": {"OMP_NUM_THREADS": "1"},
}


def train(folder: Path, steps: int, settings: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a training."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "MKL_"))} | settings
    command = [sys.executable, "-m", "limner", "train", str(NUCLEI), "--run", str(folder), "--device", "cpu"]
    chosen = {"train.steps": steps, "train.validate_every": steps, "train.save_every": steps}
    command += [word for key, value in chosen.items() for word in ("--set", f"{key}={value}")]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@contextmanager
def load(commands: list[list[str]], scratch: Path, settings: dict[str, str]) -> Iterator[None]:
    """Run other programs meanwhile; a training has the same settings as the one that is measured."""
    started = []
    for command in commands:
        if command == ["train"]:
            started.append(train(scratch / "other", 10_000, settings))
            time.sleep(15)  # until it computes
        else:
            started.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def step_seconds(run: Path) -> float:
    """Return the median time of a step in the second half of a run."""
    with (run / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["name"] == "train/step_seconds"]
    return statistics.median(float(row["value"]) for row in rows[len(rows) // 2 :])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    print("| beside |", " | ".join(COLUMNS), "|\n| --- |" + " ---: |" * len(COLUMNS))
    for name, commands in LOADS.items():
        cells = []
        for settings in COLUMNS.values():
            settings = {key: value.format(cores=arguments.cores) for key, value in settings.items()}
            with tempfile.TemporaryDirectory() as scratch, load(commands, Path(scratch), settings):
                train(Path(scratch) / "run", arguments.steps, settings).wait()
                cells.append(f"{step_seconds(Path(scratch) / 'run'):.2f}")
        print(f"| {name} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
